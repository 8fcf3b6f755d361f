using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;
using Ottla.Protocol.Sasl;
using Ottla.StateMachines.Metadata;
using UserResult = Ottla.Protocol.Messages.AlterUserScramCredentialsResponse.AlterUserScramCredentialsResult;

namespace Ottla.StateMachines.Controller;

/// <summary>AlterUserScramCredentials (KIP-554). Fails per user.</summary>
/// <param name="Request">The request.</param>
public sealed record AlterUserScramCredentialsCommand(AlterUserScramCredentialsRequest Request)
    : ControllerCommand<AlterUserScramCredentialsResponse>
{
    internal override Decision<MetadataRecord, AlterUserScramCredentialsResponse> Decide(
        QuorumController controller, in ControllerState state) => ScramDecisions.Alter(this, state);
}

/// <summary>Decides about changes to SCRAM credentials.</summary>
internal static class ScramDecisions
{
    private const string Twice = "A user credential cannot be altered twice in the same request";

    public static Decision<MetadataRecord, AlterUserScramCredentialsResponse> Alter(
        AlterUserScramCredentialsCommand command, in ControllerState state)
    {
        var image = state.Image;
        var request = command.Request;
        var isSupported = image.Features.MetadataVersionOrThrow.SupportsScram;
        var users = request.Deletions.Select(deletion => deletion.Name).Concat(request.Upsertions.Select(upsertion => upsertion.Name))
            .Distinct(StringComparer.Ordinal).ToList();
        List<MetadataRecord> records = [];
        var results = users.Select(user =>
        {
            var deletions = Array.FindAll(request.Deletions, deletion => deletion.Name == user);
            var upsertions = Array.FindAll(request.Upsertions, upsertion => upsertion.Name == user);
            var error = !isSupported ? new ApiError(ErrorCode.UnsupportedVersion, "The current metadata.version does not support SCRAM")
                : FirstErrorOf(image, deletions, upsertions);
            if (!error.IsFailure)
                records.Add(deletions.Length > 0 ? Remove(deletions[0]) : Set(upsertions[0]));
            return new UserResult { User = user, ErrorCode = (short)error.Code, ErrorMessage = error.Message };
        }).ToArray();
        return new(records, new AlterUserScramCredentialsResponse { Results = results }, true);
    }

    /// <summary>What is wrong with the changes of one user, in Kafka's order: it looks at one after the other.</summary>
    private static ApiError FirstErrorOf(
        MetadataImage image, AlterUserScramCredentialsRequest.ScramCredentialDeletion[] deletions,
        AlterUserScramCredentialsRequest.ScramCredentialUpsertion[] upsertions)
    {
        var errors = deletions.Select(deletion => Check(image, deletion)).Concat(upsertions.Select(Check)).ToList();
        return errors[0].IsFailure ? errors[0]
            : errors.Count > 1 ? new ApiError(ErrorCode.DuplicateResource, Twice)
            : ApiError.None;
    }

    private static ApiError Check(MetadataImage image, AlterUserScramCredentialsRequest.ScramCredentialDeletion deletion) =>
        CheckUser(deletion.Name, deletion.Mechanism) is { IsFailure: true } error ? error
            : image.Scram.ByUser.ContainsKey(new ScramKey(deletion.Name, deletion.Mechanism)) ? ApiError.None
            : new ApiError(ErrorCode.ResourceNotFound, "Attempt to delete a user credential that does not exist");

    private static ApiError Check(AlterUserScramCredentialsRequest.ScramCredentialUpsertion upsertion)
    {
        if (CheckUser(upsertion.Name, upsertion.Mechanism) is { IsFailure: true } error)
            return error;
        return upsertion.Iterations < ScramMechanism.IterationsMin ? new ApiError(ErrorCode.UnacceptableCredential, "Too few iterations")
            : upsertion.Iterations > ScramMechanism.IterationsMax ? new ApiError(ErrorCode.UnacceptableCredential, "Too many iterations")
            : upsertion.SaltedPassword.Length == 0
                ? new ApiError(ErrorCode.UnacceptableCredential, "The salted password must not be empty")
            : ApiError.None;
    }

    private static ApiError CheckUser(string name, sbyte mechanism) =>
        name.Length == 0 ? new ApiError(ErrorCode.UnacceptableCredential, "Username must not be empty")
        : ScramMechanism.Find(mechanism) is null
            ? new ApiError(ErrorCode.UnsupportedSaslMechanism, "Unknown SCRAM mechanism")
        : ApiError.None;

    private static MetadataRecord Remove(AlterUserScramCredentialsRequest.ScramCredentialDeletion deletion) =>
        new(new RemoveUserScramCredentialRecord { Name = deletion.Name, Mechanism = deletion.Mechanism }, 0);

    private static MetadataRecord Set(AlterUserScramCredentialsRequest.ScramCredentialUpsertion upsertion)
    {
        var mechanism = ScramMechanism.Find(upsertion.Mechanism)!;
        return new(
            new UserScramCredentialRecord
            {
                Name = upsertion.Name,
                Mechanism = upsertion.Mechanism,
                Salt = upsertion.Salt,
                StoredKey = mechanism.StoredKey(upsertion.SaltedPassword),
                ServerKey = mechanism.ServerKey(upsertion.SaltedPassword),
                Iterations = upsertion.Iterations,
            },
            0);
    }
}
