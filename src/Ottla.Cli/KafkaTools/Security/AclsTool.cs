using Ottla.Cli.KafkaTools.Options;
using Ottla.Cli.KafkaTools.Text;
using Ottla.Client;

namespace Ottla.Cli.KafkaTools.Security;

/// <summary>kafka-acls: adds, removes and lists access control entries.</summary>
internal sealed class AclsTool
{
    private readonly ToolContext _context;
    private readonly ParsedOptions _options;
    private readonly ToolClient _client;

    private AclsTool(ToolContext context, ParsedOptions options, ToolClient client) =>
        (_context, _options, _client) = (context, options, client);

    /// <summary>Runs the tool.</summary>
    public static async Task<int> RunAsync(ToolContext context)
    {
        var options = AclArguments.Parse(context);
        try
        {
            await using var client = ToolClient.Open(
                options.Value("bootstrap-server"), options.Value("bootstrap-controller"), options.Value("command-config"));
            var tool = new AclsTool(context, options, client);
            await (options.Has("add") ? tool.AddAsync() : options.Has("remove") ? tool.RemoveAsync() : tool.ListAsync());
            return 0;
        }
        catch (JavaException e)
        {
            context.Output.WriteLine($"Error while executing ACL command: {e.Message}");
            context.Output.WriteLine($"{e.Text}\n");
            return 1;
        }
    }

    private async Task AddAsync()
    {
        var pattern = AclArguments.PatternOf(_options);
        if (pattern is AclPatternType.Any or AclPatternType.Match)
        {
            throw new UsageException(
                $"A '--resource-pattern-type' value of '{pattern.ToString().ToUpperInvariant()}' is not valid when adding acls.");
        }

        var wanted = AclArguments.EntriesOf(_options);
        if (wanted.Any(each => each.Entries.Count == 0))
            throw new UsageException("You must specify one of: --allow-principal, --deny-principal when trying to add ACLs.");
        foreach (var (resource, entries) in wanted)
        {
            var existing = (await DescribeAsync(resource)).ToHashSet();
            foreach (var acl in entries.Where(existing.Contains))
                _context.Output.WriteLine($"Acl (pattern={AclText.ResourceOf(acl)}, entry={AclText.EntryOf(acl)}) already exists.");
            var added = entries.Where(acl => !existing.Contains(acl)).ToList();
            if (added.Count == 0)
                continue;
            _context.Output.WriteLine(
                $"Adding ACLs for resource `{AclText.ResourceOf(added[0])}`: \n "
                    + $"{string.Join('\n', added.Select(acl => $"\t{AclText.EntryOf(acl)}"))}\n");
            foreach (var result in (await CallAsync("createAcls", admin => admin.CreateAclsAsync(added))).Values)
            {
                if (!result.IsSuccess)
                    throw JavaErrors.Of(result, "createAcls").OfFuture();
            }
        }
    }

    private async Task RemoveAsync()
    {
        foreach (var (resource, entries) in AclArguments.EntriesOf(_options))
        {
            var filter = AclText.ResourceOf(resource.Type, resource.Name, resource.Pattern);
            if (!Confirm(entries.Count == 0 ? $"Are you sure you want to delete all ACLs for resource filter `{filter}`? (y/n)"
                : $"Are you sure you want to remove ACLs: \n {string.Join('\n', entries.Select(acl => $"\t{AclText.EntryOf(acl)}"))}\n"
                    + $" from resource filter `{filter}`? (y/n)"))
                continue;
            var filters = entries.Count == 0 ? [FilterOf(resource)] : entries.Select(acl => FilterOf(resource) with
            {
                Principal = acl.Principal,
                Host = acl.Host,
                Operation = acl.Operation,
                Permission = acl.Permission,
            }).ToList();
            foreach (var result in (await CallAsync("deleteAcls", admin => admin.DeleteAclsAsync(filters))).Values)
            {
                if (!result.IsSuccess)
                    throw JavaErrors.Of(result, "deleteAcls").OfFuture();
            }
        }
    }

    private bool Confirm(string question)
    {
        if (_options.Has("force"))
            return true;
        _context.Output.WriteLine(question);
        if (Console.IsInputRedirected)
            throw JavaException.IllegalArgument("There is no terminal to answer at: --force removes without a question.");
        _context.Output.Flush();
        return string.Equals(Console.ReadLine(), "y", StringComparison.OrdinalIgnoreCase);
    }

    private async Task ListAsync()
    {
        var resources = AclArguments.ResourcesOf(_options);
        var acls = new List<AclBinding>();
        if (resources.Count == 0)
            acls.AddRange(await CallAsync("describeAcls", admin => admin.DescribeAclsAsync(new AclFilter())));
        foreach (var resource in resources)
            acls.AddRange(await DescribeAsync(resource));
        var principals = _options.Values("principal").Select(PrincipalText.Parse).Distinct().ToList();
        if (principals.Count == 0)
            Print(acls);
        foreach (var principal in principals)
        {
            _context.Output.WriteLine($"ACLs for principal `{principal}`");
            Print(acls.Where(acl => acl.Principal == principal.ToString()));
        }
    }

    private void Print(IEnumerable<AclBinding> acls)
    {
        foreach (var resource in acls.Distinct().GroupBy(AclText.ResourceOf))
        {
            _context.Output.WriteLine(
                $"Current ACLs for resource `{resource.Key}`:\n{string.Join('\n', resource.Select(acl => $"\t{AclText.EntryOf(acl)}"))}\n");
        }
    }

    private Task<IReadOnlyList<AclBinding>> DescribeAsync(AclResource resource) =>
        CallAsync("describeAcls", admin => admin.DescribeAclsAsync(FilterOf(resource)));

    private static AclFilter FilterOf(AclResource resource) =>
        new() { ResourceType = resource.Type, ResourceName = resource.Name, PatternType = resource.Pattern };

    private async Task<T> CallAsync<T>(string name, Func<IAdmin, Task<T>> call)
    {
        try
        {
            return await _client.CallAsync(name, call);
        }
        catch (JavaException e)
        {
            throw e.OfFuture();
        }
    }
}
