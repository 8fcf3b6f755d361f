using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;
using Ottla.StateMachines.Controller;

namespace Ottla.UnitTests.Controller;

/// <summary>What the controller decides about SCRAM credentials, delegation tokens and client quotas.</summary>
public sealed class CredentialCommandTests
{
    private const long Day = 86_400_000;
    private const string Owner = "User:alice";

    private readonly ControllerTestBed _bed = ControllerTestBed.WithBrokers(configs:
    [
        ("delegation.token.secret.key", "token-secret"), ("delegation.token.expiry.check.interval.ms", "1000"),
    ]);

    [Fact]
    public void A_credential_has_the_keys_of_RFC_7677_and_no_password()
    {
        // The example of the RFC: user, password "pencil".
        var salt = Convert.FromBase64String("W22ZaJ0SNY7soEsUEjb6gQ==");
        var salted = Rfc2898DeriveBytes.Pbkdf2("pencil", salt, 4096, HashAlgorithmName.SHA256, 32);
        var result = Assert.Single(Alter(upsertions: [Upsertion("user", salt: salt, salted: salted)]));
        Assert.Equal(("user", (short)0, (string?)null), (result.User, result.ErrorCode, result.ErrorMessage));
        var record = Assert.IsType<UserScramCredentialRecord>(Assert.Single(_bed.LastRecords).Message);
        Assert.Equal("WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=", Convert.ToBase64String(record.StoredKey));
        Assert.Equal("wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=", Convert.ToBase64String(record.ServerKey));
        Assert.Equal(4096, record.Iterations);
    }

    [Theory]
    [InlineData("", 1, 4096, 93, "Username must not be empty")]
    [InlineData("x", 3, 4096, 33, "Unknown SCRAM mechanism")]
    [InlineData("x", 1, 4095, 93, "Too few iterations")]
    [InlineData("x", 2, 16385, 93, "Too many iterations")]
    public void A_bad_credential_fails_alone(string user, sbyte mechanism, int iterations, short error, string message)
    {
        var results = Alter(upsertions: [Upsertion(user, mechanism, iterations), Upsertion("good")]);
        Assert.Equal([(user, error, message), ("good", (short)0, null!)],
            results.Select(result => (result.User, result.ErrorCode, result.ErrorMessage!)));
        Assert.Single(_bed.LastRecords);
    }

    [Fact]
    public void A_user_is_altered_once_in_a_request()
    {
        var two = Assert.Single(Alter(upsertions: [Upsertion("u", 1), Upsertion("u", 2)]));
        Assert.Equal((92, "A user credential cannot be altered twice in the same request"), (two.ErrorCode, two.ErrorMessage));
        Assert.Empty(_bed.LastRecords);
        Alter(upsertions: [Upsertion("u")]);
        var both = Assert.Single(Alter(deletions: [("u", 1)], upsertions: [Upsertion("u", 2)]));
        Assert.Equal(92, both.ErrorCode);
        var missing = Assert.Single(Alter(deletions: [("u", 2)]));
        Assert.Equal((91, "Attempt to delete a user credential that does not exist"), (missing.ErrorCode, missing.ErrorMessage));
        Assert.Equal(0, Assert.Single(Alter(deletions: [("u", 1)])).ErrorCode);
        Assert.Empty(_bed.Image.Scram.ByUser);
    }

    [Fact]
    public void A_token_lives_as_long_as_it_is_renewed_and_not_longer_than_it_may()
    {
        var token = _bed.Do(new CreateDelegationTokenCommand(Owner, Owner, ["User:bob"], -1));
        Assert.Equal((1_000L, 1_000 + Day, 1_000 + (7 * Day)), (
            token.IssueTimestampMs, token.ExpirationTimestampMs, token.MaxTimestampMs));
        Assert.Equal(token, Assert.Single(_bed.Image.DelegationTokens.ById).Value);
        var hmac = HMACSHA512.HashData(Encoding.UTF8.GetBytes("token-secret"), Encoding.UTF8.GetBytes(token.TokenId));
        _bed.Now = _bed.Now.AddMilliseconds(5_000);
        Assert.Equal(6_000 + Day, _bed.Do(new RenewDelegationTokenCommand("User:bob", hmac, -1)));
        Assert.Equal(6_000 + 7, _bed.Do(new ExpireDelegationTokenCommand(Owner, hmac, 7)));
        Assert.Equal(ErrorCode.DelegationTokenOwnerMismatch, _bed.Fails(new RenewDelegationTokenCommand("User:eve", hmac, -1)));
        Assert.Equal(ErrorCode.DelegationTokenNotFound, _bed.Fails(new RenewDelegationTokenCommand(Owner, [1], -1)));
        _bed.Now = _bed.Now.AddMilliseconds(8);
        Assert.Equal(ErrorCode.DelegationTokenExpired, _bed.Fails(new RenewDelegationTokenCommand(Owner, hmac, -1)));
        Assert.Equal(6_008, _bed.Do(new ExpireDelegationTokenCommand(Owner, hmac, -1)));
        Assert.Empty(_bed.Image.DelegationTokens.ById);
    }

    [Fact]
    public void A_token_that_has_ended_is_removed_by_the_active_controller()
    {
        _bed.Do(new CreateDelegationTokenCommand(Owner, Owner, [], 2_500));
        _bed.Do(new CreateDelegationTokenCommand(Owner, Owner, [], -1));
        _bed.Pass(2_000);
        Assert.Equal(2, _bed.Image.DelegationTokens.ById.Count);
        _bed.Pass(2_000);
        Assert.Single(_bed.Image.DelegationTokens.ById);
    }

    [Fact]
    public void Without_a_key_there_are_no_tokens()
    {
        var bed = ControllerTestBed.WithBrokers();
        Assert.Equal(ErrorCode.DelegationTokenAuthDisabled, bed.Fails(new CreateDelegationTokenCommand(Owner, Owner, [], -1)));
        Assert.Equal(ErrorCode.DelegationTokenAuthDisabled, bed.Fails(new RenewDelegationTokenCommand(Owner, [1], -1)));
        Assert.Equal(ErrorCode.DelegationTokenAuthDisabled, bed.Fails(new ExpireDelegationTokenCommand(Owner, [1], -1)));
    }

    /// <summary>The records of Kafka's controller, read and written again.</summary>
    [Fact]
    public void The_recorded_records()
    {
        var count = 0;
        foreach (var line in File.ReadLines(GoldenData.Path(Path.Combine("security", "metadata-records.jsonl"))))
        {
            using var json = JsonDocument.Parse(line);
            var bytes = Convert.FromHexString(json.RootElement.GetProperty("hex").GetString()!);
            var record = MetadataRecordSerde.Decode(bytes);
            Assert.Equal(bytes, MetadataRecordSerde.Encode(record));
            count++;
        }

        Assert.Equal(81, count);
    }

    private AlterUserScramCredentialsResponse.AlterUserScramCredentialsResult[] Alter(
        (string User, sbyte Mechanism)[]? deletions = null,
        AlterUserScramCredentialsRequest.ScramCredentialUpsertion[]? upsertions = null) =>
        _bed.Do(new AlterUserScramCredentialsCommand(new AlterUserScramCredentialsRequest
        {
            Deletions = [.. (deletions ?? []).Select(each => new AlterUserScramCredentialsRequest.ScramCredentialDeletion
                { Name = each.User, Mechanism = each.Mechanism })],
            Upsertions = upsertions ?? [],
        })).Results;

    private static AlterUserScramCredentialsRequest.ScramCredentialUpsertion Upsertion(
        string user, sbyte mechanism = 1, int iterations = 4096, byte[]? salt = null, byte[]? salted = null) =>
        new() { Name = user, Mechanism = mechanism, Iterations = iterations, Salt = salt ?? [1], SaltedPassword = salted ?? [2] };
}
