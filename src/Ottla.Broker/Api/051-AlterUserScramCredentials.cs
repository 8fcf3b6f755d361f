using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using UserResult = Ottla.Protocol.Messages.AlterUserScramCredentialsResponse.AlterUserScramCredentialsResult;

namespace Ottla.Broker.Api;

/// <summary>AlterUserScramCredentials (key 51), version 0: sets and deletes SCRAM credentials (KIP-554).</summary>
/// <remarks>
/// Errors per user: UNSUPPORTED_VERSION, always: this version has no logins, and so stores no secrets. It offers the API all the same,
/// because clients guess the version of a broker from its APIs.
/// </remarks>
internal sealed class AlterUserScramCredentialsHandler : IApiHandler<AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse>
{
    public ValueTask<AlterUserScramCredentialsResponse?> HandleAsync(RequestContext context, AlterUserScramCredentialsRequest request) =>
        ValueTask.FromResult<AlterUserScramCredentialsResponse?>(new AlterUserScramCredentialsResponse
        {
            Results =
            [
                .. request.Deletions.Select(deletion => deletion.Name)
                    .Concat(request.Upsertions.Select(upsertion => upsertion.Name))
                    .Distinct(StringComparer.Ordinal)
                    .Select(user => new UserResult
                    {
                        User = user,
                        ErrorCode = (short)ErrorCode.UnsupportedVersion,
                        ErrorMessage = "This broker does not support SASL logins.",
                    }),
            ],
        });
}
