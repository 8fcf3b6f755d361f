using System.Buffers.Binary;
using System.Reflection;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;

namespace Ottla.Testing;

/// <summary>Answers that say errors, of any API: made from a request, or from a broker's answer.</summary>
internal static class ErrorResponses
{
    private static readonly Dictionary<ApiKey, Codec> Codecs = FindCodecs();

    /// <summary>The answer to a request of which nobody was told.</summary>
    /// <param name="request">The request, without its length.</param>
    /// <param name="error">The error.</param>
    /// <param name="level">Where it is said.</param>
    /// <returns>A frame with its length.</returns>
    public static byte[] Refuse(ReadOnlySpan<byte> request, ErrorCode error, ErrorLevel level) =>
        Codecs[(ApiKey)BinaryPrimitives.ReadInt16BigEndian(request)].Refuse(request.ToArray(), error, level);

    /// <summary>A broker's answer with another error.</summary>
    /// <param name="key">The API.</param>
    /// <param name="version">The version.</param>
    /// <param name="answer">The answer, without its length.</param>
    /// <param name="error">The error.</param>
    /// <param name="level">Where it is said.</param>
    /// <returns>A frame with its length.</returns>
    public static byte[] Change(ApiKey key, short version, ReadOnlyMemory<byte> answer, ErrorCode error, ErrorLevel level) =>
        Codecs[key].Change(version, answer.ToArray(), error, level);

    /// <summary>Whether an API has answers that say errors.</summary>
    public static bool Know(ApiKey key) => Codecs.ContainsKey(key);

    private static Dictionary<ApiKey, Codec> FindCodecs()
    {
        var codecs = new Dictionary<ApiKey, Codec>();
        foreach (var request in typeof(ProduceRequest).Assembly.GetExportedTypes())
        {
            var failable = request.GetInterfaces().FirstOrDefault(
                each => each.IsGenericType && each.GetGenericTypeDefinition() == typeof(IFailableRequest<>));
            if (failable is null)
                continue;
            var response = failable.GetGenericArguments()[0];
            var codec = (Codec)Activator.CreateInstance(typeof(Codec<,>).MakeGenericType(request, response))!;
            codecs.Add(codec.Key, codec);
        }

        return codecs;
    }

    private static void SetErrors(object message, short error, ErrorLevel level, bool isTop)
    {
        foreach (var property in message.GetType().GetProperties(BindingFlags.Public | BindingFlags.Instance))
        {
            if (property.PropertyType == typeof(short) && property.Name is "ErrorCode" or "PartitionErrorCode")
            {
                var isMeant = level == ErrorLevel.All || (level == ErrorLevel.Top) == isTop;
                property.SetValue(message, isMeant ? error : (short)0);
            }
            else if (property.PropertyType.IsArray && property.PropertyType.GetElementType() is { IsClass: true } element
                && element != typeof(string) && property.GetValue(message) is Array items)
            {
                foreach (var item in items)
                    SetErrors(item!, error, level, isTop: false);
            }
        }
    }

    private abstract class Codec
    {
        public abstract ApiKey Key { get; }

        public abstract byte[] Refuse(byte[] request, ErrorCode error, ErrorLevel level);

        public abstract byte[] Change(short version, byte[] answer, ErrorCode error, ErrorLevel level);
    }

    private sealed class Codec<TRequest, TResponse> : Codec
        where TRequest : IRequestMessage<TRequest>, IFailableRequest<TResponse>
        where TResponse : IResponseMessage<TResponse>
    {
        public override ApiKey Key => TRequest.ApiKey;

        public override byte[] Refuse(byte[] request, ErrorCode error, ErrorLevel level)
        {
            var version = BinaryPrimitives.ReadInt16BigEndian(request.AsSpan(2));
            var reader = new WireReader(request);
            var header = RequestHeader.Read(ref reader, version >= TRequest.LowestFlexibleVersion ? (short)2 : (short)1);
            var answer = TRequest.Read(ref reader, version).ToErrorResponse(version, (short)error, null);
            SetErrors(answer, (short)error, level, isTop: true);
            return Encode(answer, version, header.CorrelationId);
        }

        public override byte[] Change(short version, byte[] answer, ErrorCode error, ErrorLevel level)
        {
            var correlationId = BinaryPrimitives.ReadInt32BigEndian(answer);
            var reader = new WireReader(answer);
            reader.ReadInt32();
            if (IsFlexible(version))
                reader.ReadTagCount(); // a broker writes none
            var response = TResponse.Read(ref reader, version);
            SetErrors(response, (short)error, level, isTop: true);
            return Encode(response, version, correlationId);
        }

        /// <summary>Whether the header of the answer has tags.</summary>
        private static bool IsFlexible(short version) =>
            version >= TResponse.LowestFlexibleVersion && TResponse.ApiKey != ApiKey.ApiVersions;

        private static byte[] Encode(TResponse response, short version, int correlationId)
        {
            byte[] body = [.. IsFlexible(version) ? new byte[] { 0 } : [], .. WireBuffer.Encode(response, version)];
            var frame = new byte[sizeof(int) + sizeof(int) + body.Length];
            BinaryPrimitives.WriteInt32BigEndian(frame, frame.Length - sizeof(int));
            BinaryPrimitives.WriteInt32BigEndian(frame.AsSpan(sizeof(int)), correlationId);
            body.CopyTo(frame, sizeof(int) + sizeof(int));
            return frame;
        }
    }
}
