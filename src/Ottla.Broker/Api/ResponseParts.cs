using Ottla.Protocol;


namespace Ottla.Broker.Api;

/// <summary>
/// Parts of a response that are about one thing each: an error of one becomes its part, and the others are answered as usual.
/// </summary>
internal static class ResponseParts
{
    /// <summary>Waits for a part; makes it of the error when it fails with one of Kafka's.</summary>
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
