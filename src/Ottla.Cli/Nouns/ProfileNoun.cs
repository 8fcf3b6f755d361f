using System.CommandLine;
using Ottla.Cli.Framework;

namespace Ottla.Cli.Nouns;

/// <summary><c>ottla profile</c>: clusters by name.</summary>
internal static class ProfileNoun
{
    public static Command Create() => ClusterCommand.Noun(
        "profile", "Keep clusters and logins by name, so that commands need not name them.", CreateList(), CreateCreate(), CreateUse(),
        CreateShow(), CreateDelete());

    private static Argument<string> Name() => new("name") { Description = "The profile.", HelpName = "NAME" };

    private static ClusterCommand CreateList() => new("list", "List profiles; the one that is used is marked.", "profile list", context =>
    {
        var rows = context.Rows("profile", "used", "servers");
        foreach (var name in context.Profiles.List())
        {
            var properties = context.Profiles.Read(name);
            rows.Add(
                name, name == context.Profiles.Current,
                properties.GetValueOrDefault("bootstrap.servers") ?? properties.GetValueOrDefault("bootstrap.controllers"));
        }

        rows.End($"There are no profiles in {context.Profiles.Directory}.");
        return Task.CompletedTask;
    });

    private static ClusterCommand CreateCreate()
    {
        var name = Name();
        var force = CommonOptions.Flag("--force", "Replace a profile of the name.");
        return new ClusterCommand(
            "create", "Make a profile of the cluster and the properties that this command line and its --command-config name. "
                + "It is a file of properties of Kafka's clients that only you can read.",
            "profile create prod -B a.example:9092 --command-config client.properties", context =>
            {
                context.Profiles.Write(
                    context.Value(name)!, ConnectionOptions.ReadForProfile(context.Arguments), context.Value(force));
                context.Done($"Made profile {context.Value(name)} in {context.Profiles.Directory}.", ("profile", context.Value(name)));
                return Task.CompletedTask;
            }, name, force);
    }

    private static ClusterCommand CreateUse()
    {
        var name = Name();
        return new ClusterCommand("use", "Have commands take this profile when they name none.", "profile use prod", context =>
        {
            context.Profiles.Use(context.Value(name)!);
            context.Done($"Commands use {context.Value(name)} now.", ("profile", context.Value(name)));
            return Task.CompletedTask;
        }, name);
    }

    private static ClusterCommand CreateShow()
    {
        var name = Name();
        return new ClusterCommand("show", "Print the properties of a profile, without secrets.", "profile show prod", context =>
        {
            var rows = context.Rows("property", "value");
            foreach (var (property, value) in context.Profiles.Read(context.Value(name)!).OrderBy(each => each.Key, StringComparer.Ordinal))
                rows.Add(property, Secrets.Show(property, value));
            rows.End("The profile is empty.");
            return Task.CompletedTask;
        }, name);
    }

    private static ClusterCommand CreateDelete()
    {
        var name = Name();
        return new ClusterCommand("delete", "Delete a profile.", "profile delete prod --yes", context =>
        {
            if (context.Confirm($"Delete profile {context.Value(name)}?"))
            {
                context.Profiles.Delete(context.Value(name)!);
                context.Done($"Deleted profile {context.Value(name)}.", ("profile", context.Value(name)), ("deleted", true));
            }

            return Task.CompletedTask;
        }, name, CommonOptions.Yes);
    }
}
