using System.CommandLine;
using Ottla.Cli.Framework;
using Ottla.Client;
using Ottla.Configuration;

namespace Ottla.Cli.Nouns;

/// <summary><c>ottla token</c>: delegation tokens.</summary>
internal static class TokenNoun
{
    private const string HmacVariable = "OTTLA_TOKEN_HMAC";

    public static Command Create() => ClusterCommand.Noun(
        "token", "Make, list, renew and end delegation tokens.", CreateCreate(), CreateList(), CreateChange("renew"),
            CreateChange("expire"));

    private static ClusterCommand CreateCreate()
    {
        var owner = CommonOptions.Text("--owner", "Whose rights it gives, as alice. Default: who is logged in.", "PRINCIPAL");
        var renewers = CommonOptions.Texts("--renewer", "Who may renew it besides; may be repeated.", "PRINCIPAL");
        var lifetime = CommonOptions.Text("--lifetime", "How long it may live at most. Default: the cluster's.", "DURATION");
        return new ClusterCommand(
            "create", "Make a token, and print its secret (hmac): it is shown once.", "token create --renewer bob --lifetime 7d",
                async context =>
            {
                var token = await context.Admin.CreateDelegationTokenAsync(
                    context.Value(owner) is { } name ? PrincipalOf(name) : null, [.. (context.Value(renewers) ?? []).Select(PrincipalOf)],
                    context.Value(lifetime) is { } text ? ConnectionOptions.Duration(text, "--lifetime") : null);
                context.Print(
                    ("token", token.TokenId), ("hmac", Convert.ToBase64String(token.Hmac.Span)), ("owner", token.Owner.ToString()),
                    ("expires", token.ExpiresAt), ("maximum", token.MaximumAt));
            }, owner, renewers, lifetime);
    }

    private static ClusterCommand CreateList()
    {
        var owners = CommonOptions.Texts("--owner", "Only tokens of this user; may be repeated.", "PRINCIPAL");
        return new ClusterCommand("list", "List tokens, without their secrets.", "token list --owner alice", async context =>
        {
            var names = (context.Value(owners) ?? []).Select(PrincipalOf).ToList();
            var rows = context.Rows("token", "owner", "requester", "renewers", "issued", "expires", "maximum");
            foreach (var token in await context.Admin.DescribeDelegationTokenAsync(names.Count == 0 ? null : names))
            {
                rows.Add(
                    token.TokenId, token.Owner.ToString(), token.Requester.ToString(),
                    token.Renewers.Select(each => each.ToString()).ToList(), token.IssuedAt, token.ExpiresAt, token.MaximumAt);
            }

            rows.End("There are no tokens.");
        }, owners);
    }

    private static ClusterCommand CreateChange(string verb)
    {
        var isRenewal = verb == "renew";
        var file = CommonOptions.Text("--hmac-file", "Read the token's secret, in Base64, from the first line of a file.", "FILE");
        var period = CommonOptions.Text(
            isRenewal ? "--for" : "--in", isRenewal ? "How long from now. Default: the cluster's." : "In how long. Default: at once.",
                "DURATION");
        return new ClusterCommand(
            verb, $"{(isRenewal ? "Have a token live longer" : "Have a token end")}. Its secret is read from a file, or from "
                + $"{HmacVariable}.",
            $"token {verb} --hmac-file token.txt", async context =>
            {
                var hmac = Read(context.Value(file));
                var time = context.Value(period) is { } text ? (TimeSpan?)ConnectionOptions.Duration(text, period.Name) : null;
                var end = isRenewal
                    ? await context.Admin.RenewDelegationTokenAsync(hmac, time)
                        : await context.Admin.ExpireDelegationTokenAsync(hmac, time);
                context.Done($"The token ends at {RowWriter.TextOf(end)}.", ("expires", end));
            }, file, period);
    }

    private static byte[] Read(string? file)
    {
        var text = Environment.GetEnvironmentVariable(HmacVariable);
        if (file is not null)
        {
            using var reader = new FileInfo(file).OpenText();
            text = reader.ReadLine();
        }

        var bytes = new byte[text?.Length ?? 0];
        return text is { Length: > 0 } && Convert.TryFromBase64String(text.Trim(), bytes, out var count) ? bytes[..count]
            : throw new ConfigException($"Which token? Its secret in Base64 is expected in --hmac-file FILE, or in {HmacVariable}.");
    }

    private static Principal PrincipalOf(string text) =>
        text.Split(':', 2) is [var type, var name] ? new Principal(name, type) : new Principal(text);
}
