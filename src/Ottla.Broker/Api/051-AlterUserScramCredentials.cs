using Ottla.Broker.Hosts;
using Ottla.Broker.Server;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Controller;

namespace Ottla.Broker.Api;

/// <summary>AlterUserScramCredentials (key 51), version 0: sets and deletes SCRAM credentials (KIP-554). The controller decides.</summary>
/// <remarks>
/// Neither a salted password nor a key is ever logged or answered. Errors per user: RESOURCE_NOT_FOUND (nothing to delete),
/// DUPLICATE_RESOURCE (named twice, also with another mechanism), UNACCEPTABLE_CREDENTIAL (no name, too few or too many iterations, an
/// empty salted password), UNSUPPORTED_SASL_MECHANISM, UNSUPPORTED_VERSION (metadata.version is too low); for all of them: NOT_CONTROLLER.
/// </remarks>
internal sealed class AlterUserScramCredentialsHandler(IController controller)
    : IApiHandler<AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse>
{
    public async ValueTask<AlterUserScramCredentialsResponse?> HandleAsync(
        RequestContext context, AlterUserScramCredentialsRequest request) =>
        await controller.SubmitAsync(new AlterUserScramCredentialsCommand(request));
}
