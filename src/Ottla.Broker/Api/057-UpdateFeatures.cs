using Ottla.Broker.Hosts;
using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Controller;
using Ottla.StateMachines.Metadata;

namespace Ottla.Broker.Api;

/// <summary>Asks the quorum to raise kraft.version.</summary>
/// <param name="level">The new level.</param>
/// <param name="validateOnly">Whether to check only that the quorum could.</param>
/// <returns>No error when the new level is committed, or was in force already.</returns>
internal delegate Task<ApiError> RaiseKRaftVersion(short level, bool validateOnly);

/// <summary>UpdateFeatures (key 57), versions 0 to 2: changes finalized feature levels.</summary>
/// <remarks>
/// Raft keeps kraft.version. This handler raises it after the check of the request, and before the controller decides about the other
/// features. Errors: INVALID_UPDATE_VERSION, FEATURE_UPDATE_FAILED, INVALID_REQUEST, NOT_CONTROLLER; below version 2 per feature.
/// </remarks>
internal sealed class UpdateFeaturesHandler(IController controller, RaiseKRaftVersion? raiseKRaftVersion = null)
    : IApiHandler<UpdateFeaturesRequest, UpdateFeaturesResponse>
{
    private const sbyte Upgrade = 1;

    public async ValueTask<UpdateFeaturesResponse?> HandleAsync(RequestContext context, UpdateFeaturesRequest request)
    {
        var command = new UpdateFeaturesCommand(request, context.ApiVersion);
        if (raiseKRaftVersion is null || Array.Find(request.FeatureUpdates, IsKRaftUpgrade) is not { } upgrade)
            return await controller.SubmitAsync(command);
        var check = await controller.SubmitAsync(command with { ChecksOnly = true });
        if (check.ErrorCode != (short)ErrorCode.None)
            return check;
        var error = await raiseKRaftVersion(upgrade.MaxVersionLevel, request.ValidateOnly);
        if (error.IsFailure)
        {
            return new UpdateFeaturesResponse
            {
                ErrorCode = (short)error.Code,
                ErrorMessage = UpdateFeaturesCommand.FailurePrefix + error.Message,
            };
        }

        return request.ValidateOnly
            ? check
            : await controller.SubmitAsync(command with { RaisedKRaftVersion = upgrade.MaxVersionLevel });

        bool IsKRaftUpgrade(UpdateFeaturesRequest.FeatureUpdateKey update) =>
            update.Feature == Feature.KRaftVersion
            && (context.ApiVersion == 0 ? !update.AllowDowngrade : update.UpgradeType == Upgrade);
    }
}
