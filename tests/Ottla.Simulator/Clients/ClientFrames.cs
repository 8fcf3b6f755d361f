using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;

namespace Ottla.Simulator.Clients;

/// <summary>Requests and responses as a client sees them on the wire, without their lengths.</summary>
public static class ClientFrames
{
    /// <summary>The schema of an API.</summary>
    public static ApiSchema SchemaOf(ApiKey key) => ApiSchemas.All.Single(schema => schema.Key == key);

    /// <summary>A request behind its header.</summary>
    public static byte[] Encode(ApiKey key, short version, int correlationId, IMessage request, string? clientId)
    {
        var header =
            new RequestHeader
            {
                RequestApiKey = (short)key,
                RequestApiVersion = version,
                CorrelationId = correlationId,
                ClientId = clientId
            };
        var isFlexible = version >= SchemaOf(key).LowestFlexibleVersion;
        return [.. WireBuffer.Encode(header, isFlexible ? (short)2 : (short)1), .. WireBuffer.Encode(request, version)];
    }

    /// <summary>A response with its header, all of it.</summary>
    /// <exception cref="InvalidDataException">It answers another request, or something is left over.</exception>
    public static TResponse Decode<TResponse>(byte[] frame, short version, int correlationId)
        where TResponse : IResponseMessage<TResponse>
    {
        var reader = new WireReader(frame);
        if (reader.ReadInt32() is var answered && answered != correlationId)
            throw new InvalidDataException($"the request {correlationId} was answered by the response to {answered}");
        if (version >= TResponse.LowestFlexibleVersion && TResponse.ApiKey != ApiKey.ApiVersions
            && reader.ReadTagCount() is > 0 and var tags)
            throw new InvalidDataException($"{tags} tagged fields in the header of {typeof(TResponse).Name} v{version}");
        var response = TResponse.Read(ref reader, version);
        return reader.Remaining == 0 ? response
            : throw new InvalidDataException($"{reader.Remaining} bytes behind {typeof(TResponse).Name} v{version}");
    }
}
