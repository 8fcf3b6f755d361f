using Ottla.Protocol;


namespace Ottla.Broker.Api;

/// <summary>Makes the parts of a response that are about one thing each: an error fails its own part only.</summary>
internal static class ResponseParts
{
    /// <summary>Waits for a part. If that fails with an error of Kafka's, makes the part of the error.</summary>
    /// <param name="part">The part.</param>
    /// <param name="failed">Makes the part of an error.</param>
    public static async Task<TPart> OrFailed<TPart>(this ValueTask<TPart> part, Func<ApiError, TPart> failed)
    {
        try
        {
            return await part;
        }
        catch (ApiException e)
        {
            return failed(e.Error);
        }
    }
}
