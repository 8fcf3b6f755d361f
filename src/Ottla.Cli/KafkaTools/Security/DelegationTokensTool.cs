using Ottla.Cli.KafkaTools.Options;
using Ottla.Cli.KafkaTools.Text;
using Ottla.Client;

namespace Ottla.Cli.KafkaTools.Security;

/// <summary>kafka-delegation-tokens: makes, renews, ends and lists delegation tokens.</summary>
internal static class DelegationTokensTool
{
    private static readonly string[] Actions = ["create", "renew", "expire", "describe"];

    /// <summary>Runs the tool.</summary>
    public static async Task<int> RunAsync(ToolContext context)
    {
        var options = JoptTool.Parse(context, "This tool helps to create, renew, expire, or describe delegation tokens.");
        if (Actions.Count(options.Has) != 1)
            throw new UsageException("Command must include exactly one action: --create, --renew, --expire or --describe");
        options.Require("bootstrap-server", "command-config");
        if (options.Has("create"))
            options.Require("max-life-time-period");
        if (options.Has("renew"))
            options.Require("hmac", "renew-time-period");
        if (options.Has("expire"))
            options.Require("hmac", "expiry-time-period");
        await using var client = ToolClient.Open(options.Value("bootstrap-server"), commandConfig: options.Value("command-config"));
        if (options.Has("create"))
            await CreateAsync(context, options, client);
        else if (options.Has("renew"))
            await RenewAsync(context, options, client);
        else if (options.Has("expire"))
            await ExpireAsync(context, options, client);
        else
            await DescribeAsync(context, options, client);
        return 0;
    }

    private static async Task CreateAsync(ToolContext context, ParsedOptions options, ToolClient client)
    {
        var renewers = Principals(options, "renewer-principal");
        var owners = Principals(options, "owner-principal");
        var lifetime = options.Long("max-life-time-period")!.Value;
        context.Output.WriteLine(
            $"Calling create token operation with renewers :{List(renewers)} , max-life-time-period :{lifetime}");
        var token = await client.CallAsync("createDelegationToken", admin => admin.CreateDelegationTokenAsync(
            owners.Count > 0 ? owners[0] : null, renewers, Period(lifetime)));
        context.Output.WriteLine($"Created delegation token with tokenId : {token.TokenId}");
        Print(context.Output, [token]);
    }

    private static async Task RenewAsync(ToolContext context, ParsedOptions options, ToolClient client)
    {
        var period = options.Long("renew-time-period")!.Value;
        var hmac = options.Value("hmac")!;
        context.Output.WriteLine($"Calling renew token operation with hmac :{hmac} , renew-time-period :{period}");
        var end = await client.CallAsync(
            "renewDelegationToken", admin => admin.RenewDelegationTokenAsync(Convert.FromBase64String(hmac), Period(period)));
        context.Output.WriteLine($"Completed renew operation. New expiry date : {Date(end)}");
    }

    private static async Task ExpireAsync(ToolContext context, ParsedOptions options, ToolClient client)
    {
        var period = options.Long("expiry-time-period")!.Value;
        var hmac = options.Value("hmac")!;
        context.Output.WriteLine($"Calling expire token operation with hmac :{hmac} , expire-time-period :{period}");
        var end = await client.CallAsync(
            "expireDelegationToken", admin => admin.ExpireDelegationTokenAsync(Convert.FromBase64String(hmac), Period(period)));
        context.Output.WriteLine($"Completed expire operation. New expiry date : {Date(end)}");
    }

    private static async Task DescribeAsync(ToolContext context, ParsedOptions options, ToolClient client)
    {
        var owners = Principals(options, "owner-principal");
        context.Output.WriteLine(owners.Count == 0
            ? "Calling describe token operation for current user." : $"Calling describe token operation for owners: {List(owners)}");
        var tokens = await client.CallAsync(
            "describeDelegationToken", admin => admin.DescribeDelegationTokenAsync(owners.Count == 0 ? null : owners));
        context.Output.WriteLine($"Total number of tokens : {tokens.Count}");
        Print(context.Output, tokens);
    }

    private static void Print(TextWriter output, IReadOnlyList<DelegationToken> tokens)
    {
        const int idWidth = 15;
        const int width = 30;
        const int dateWidth = 15;
        output.Write($"\n{ColumnText.Line(
            ("TOKENID", idWidth), ("HMAC", width), ("OWNER", idWidth), ("REQUESTER", idWidth), ("RENEWERS", width),
                ("ISSUEDATE", dateWidth),
            ("EXPIRYDATE", dateWidth), ("MAXDATE", dateWidth))}\n");
        foreach (var token in tokens)
        {
            output.WriteLine(ColumnText.Line(
                (token.TokenId, idWidth), (Convert.ToBase64String(token.Hmac.Span), width), (token.Owner.ToString(), idWidth),
                (token.Requester.ToString(), idWidth), (List(token.Renewers), width), (Date(token.IssuedAt), dateWidth),
                (Date(token.ExpiresAt), dateWidth), (Date(token.MaximumAt), dateWidth)));
        }
    }

    private static string Date(DateTimeOffset time) => $"{time.ToLocalTime():yyyy-MM-dd'T'HH:mm}";

    private static string List(IEnumerable<Principal> principals) => $"[{string.Join(", ", principals)}]";

    private static TimeSpan? Period(long milliseconds) => milliseconds < 0 ? null : TimeSpan.FromMilliseconds(milliseconds);

    private static List<Principal> Principals(ParsedOptions options, string name) =>
        [.. options.Values(name).Select(PrincipalText.Parse)];
}
