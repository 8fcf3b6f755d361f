using Ottla.Broker.Metadata;
using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using UserResult = Ottla.Protocol.Messages.DescribeUserScramCredentialsResponse.DescribeUserScramCredentialsResult;

namespace Ottla.Broker.Api;

/// <summary>
/// DescribeUserScramCredentials (key 50), version 0: the mechanisms and iterations of the SCRAM credentials in the metadata (KIP-554).
/// </summary>
/// <remarks>No users named (null or empty): all. Errors per user: RESOURCE_NOT_FOUND, DUPLICATE_RESOURCE (named twice).</remarks>
internal sealed class DescribeUserScramCredentialsHandler(ClusterView cluster)
    : IApiHandler<DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse>
{
    private const string RepeatedUser = "Cannot describe SCRAM credentials for the same user twice in a single request: ";
    private const string MissingUser = "Attempt to describe a user credential that does not exist: ";

    public ValueTask<DescribeUserScramCredentialsResponse?> HandleAsync(RequestContext context, DescribeUserScramCredentialsRequest request)
    {
        var byUser = cluster.Image.Scram.ByUser.ToLookup(credential => credential.Key.User, StringComparer.Ordinal);
        var asked = request.Users is { Length: > 0 } users
            ? users.GroupBy(user => user.Name, StringComparer.Ordinal).Select(user => (Name: user.Key, IsRepeated: user.Count() > 1))
            : byUser.Select(user => (Name: user.Key, IsRepeated: false)).OrderBy(user => user.Name, StringComparer.Ordinal);
        var response = new DescribeUserScramCredentialsResponse
        {
            Results = [.. asked.Select(user => user.IsRepeated
                ? Failed(user.Name, ErrorCode.DuplicateResource, RepeatedUser)
                : Describe(user.Name))],
        };
        return ValueTask.FromResult<DescribeUserScramCredentialsResponse?>(response);

        UserResult Describe(string user) => !byUser.Contains(user)
            ? Failed(user, ErrorCode.ResourceNotFound, MissingUser)
            : new UserResult
            {
                User = user,
                CredentialInfos =
                [
                    .. byUser[user].OrderBy(credential => credential.Key.Mechanism).Select(credential =>
                        new DescribeUserScramCredentialsResponse.CredentialInfo
                    {
                        Mechanism = credential.Key.Mechanism,
                        Iterations = credential.Value.Iterations,
                    }),
                ],
            };
    }

    private static UserResult Failed(string user, ErrorCode error, string message) =>
        new() { User = user, ErrorCode = (short)error, ErrorMessage = message + user };
}
