using System.CommandLine;
using Ottla.Cli.Framework;
using Ottla.Client;
using Ottla.Configuration;

namespace Ottla.Cli.Nouns;

/// <summary><c>ottla user</c>: users that log in by SCRAM.</summary>
internal static class UserNoun
{
    private const string PasswordVariable = "OTTLA_USER_PASSWORD";

    private static readonly string[] Mechanisms = ["SCRAM-SHA-256", "SCRAM-SHA-512"];

    public static Command Create() =>
        ClusterCommand.Noun("user", "See, add and delete users that log in by SCRAM.", CreateList(), CreateSet(), CreateDelete());

    private static ClusterCommand CreateList()
    {
        var users = new Argument<string[]>("user")
        {
            Description = "The users; all without it.",
            HelpName = "USER",
            Arity = ArgumentArity.ZeroOrMore
        };
        return new ClusterCommand("list", "List users and the mechanisms that they log in by.", "user list", async context =>
        {
            var names = context.Value(users)!;
            var results = await context.Admin.DescribeUserScramCredentialsAsync(names.Length == 0 ? null : names);
            var rows = context.Rows("user", "mechanism", "iterations");
            foreach (var (name, result) in results.OrderBy(each => each.Key, StringComparer.Ordinal))
            {
                if (context.Failed($"user {name}", result))
                    continue;
                foreach (var credential in result.Value)
                    rows.Add(name, NameOf(credential.Mechanism), credential.Iterations);
            }

            rows.End("There are no users.");
        }, users);
    }

    private static ClusterCommand CreateSet()
    {
        var user = new Argument<string>("user") { Description = "The user.", HelpName = "USER" };
        var mechanism = Mechanism();
        var file = CommonOptions.Text("--password-file", "Read the password from the first line of a file; '-' is standard input.", "FILE");
        var iterations = CommonOptions.Number("--iterations", "How often the password is hashed, 4096 to 16384. Default: 4096.");
        return new ClusterCommand(
            "set", $"Add a user, or give one another password: from a file, from {PasswordVariable}, or asked for.",
            "user set alice --password-file alice.txt", async context =>
            {
                var name = context.Value(user)!;
                var type = TypeOf(context.Value(mechanism));
                var upsertion = new ScramUpsertion(name, type, ReadPassword(context, context.Value(file)));
                if (context.Value(iterations) is { } count)
                    upsertion = upsertion with { Iterations = count };
                (await context.Admin.AlterUserScramCredentialsAsync([upsertion]))[name].ThrowIfFailed();
                context.Done(
                    $"User {name} can log in by {NameOf(type)}.", ("user", name), ("mechanism", NameOf(type)),
                    ("iterations", upsertion.Iterations));
            }, user, mechanism, file, iterations).Known("add");
    }

    private static ClusterCommand CreateDelete()
    {
        var user = new Argument<string>("user") { Description = "The user.", HelpName = "USER" };
        var mechanism = Mechanism();
        return new ClusterCommand("delete", "Take a user's password away, of all mechanisms or one.", "user delete alice --yes",
            async context =>
        {
            var name = context.Value(user)!;
            var types = context.Value(mechanism) is { } one ? [TypeOf(one)]
                : (await context.Admin.DescribeUserScramCredentialsAsync([name]))[name].Value.Select(each => each.Mechanism).ToList();
            if (!context.Confirm($"Delete the password of {name} ({string.Join(", ", types.Select(NameOf))})?"))
                return;
            foreach (var type in types)
            {
                // One change of a user in a call is all that the cluster takes.
                (await context.Admin.AlterUserScramCredentialsAsync([new ScramDeletion(name, type)]))[name].ThrowIfFailed();
                context.Done($"User {name} cannot log in by {NameOf(type)} any more.", ("user", name), ("mechanism", NameOf(type)));
            }
        }, user, mechanism, CommonOptions.Yes);
    }

    private static Option<string?> Mechanism()
    {
        var mechanism = CommonOptions.Text("--mechanism", "SCRAM-SHA-256 or SCRAM-SHA-512. Default of 'set': SCRAM-SHA-512.", "MECHANISM");
        mechanism.AcceptOnlyFromAmong(Mechanisms);
        return mechanism;
    }

    private static ScramType TypeOf(string? name) => name == Mechanisms[0] ? ScramType.Sha256 : ScramType.Sha512;

    private static string NameOf(ScramType type) => type == ScramType.Sha256 ? Mechanisms[0] : Mechanisms[1];

    private static string ReadPassword(CommandContext context, string? file)
    {
        string? password;
        if (file is not null and not "-")
        {
            using var reader = new FileInfo(file).OpenText();
            password = reader.ReadLine();
        }
        else if (file is null && Environment.GetEnvironmentVariable(PasswordVariable) is { Length: > 0 } variable)
        {
            password = variable;
        }
        else if (file is null && !Console.IsInputRedirected)
        {
            password = Ask(context);
        }
        else if (file is "-")
        {
            password = Console.In.ReadLine();
        }
        else
        {
            throw new ConfigException($"Where is the password? Give --password-file FILE, or set {PasswordVariable}.");
        }

        return password is { Length: > 0 } ? password : throw new ConfigException("The password is empty.");
    }

    /// <summary>Reads a password from the terminal, without showing it.</summary>
    private static string Ask(CommandContext context)
    {
        context.Error.Write("Password: ");
        var password = new System.Text.StringBuilder();
        while (Console.ReadKey(intercept: true) is { Key: not ConsoleKey.Enter } key)
        {
            if (key.Key == ConsoleKey.Backspace && password.Length > 0)
                password.Length--;
            else if (key.KeyChar >= ' ')
                password.Append(key.KeyChar);
        }

        context.Error.WriteLine();
        return password.ToString();
    }
}
