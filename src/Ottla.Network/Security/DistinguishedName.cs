using System.Formats.Asn1;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace Ottla.Network.Security;

/// <summary>
/// Writes the subject of a certificate as RFC 2253 and Java do: the last part first, without blanks, and unknown attributes as numbers.
/// Access control entries that were written for Kafka match these names.
/// </summary>
public static class DistinguishedName
{
    /// <summary>The characters that a backslash escapes anywhere.</summary>
    private const string Escaped = ",=+<>;\"\\";

    /// <summary>The name in RFC 2253's form.</summary>
    /// <exception cref="AsnContentException">The name is malformed.</exception>
    public static string Format(X500DistinguishedName name)
    {
        var parts = new List<string>();
        var sequence = new AsnReader(name.RawData, AsnEncodingRules.DER).ReadSequence();
        while (sequence.HasData)
        {
            var attributes = new List<string>();
            var set = sequence.ReadSetOf(skipSortOrderValidation: true);
            while (set.HasData)
            {
                var attribute = set.ReadSequence();
                attributes.Add(Format(attribute.ReadObjectIdentifier(), attribute.ReadEncodedValue()));
            }

            parts.Add(string.Join('+', attributes));
        }

        parts.Reverse();
        return string.Join(',', parts);
    }

    private static string Format(string type, ReadOnlyMemory<byte> value) =>
        KeywordOf(type) is { } keyword && TextOf(value) is { } text
            ? $"{keyword}={Escape(text)}"
            : $"{KeywordOf(type) ?? type}=#{Convert.ToHexStringLower(value.Span)}";

    private static string? KeywordOf(string type) => type switch
    {
        "2.5.4.3" => "CN",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "STREET",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "0.9.2342.19200300.100.1.1" => "UID",
        "0.9.2342.19200300.100.1.25" => "DC",
        _ => null,
    };

    private static string? TextOf(ReadOnlyMemory<byte> value)
    {
        var reader = new AsnReader(value, AsnEncodingRules.DER);
        var tag = reader.PeekTag();
        if (tag.TagClass != TagClass.Universal)
            return null;
        return (UniversalTagNumber)tag.TagValue is UniversalTagNumber.UTF8String or UniversalTagNumber.PrintableString
            or UniversalTagNumber.IA5String or UniversalTagNumber.T61String or UniversalTagNumber.BMPString
            ? reader.ReadCharacterString((UniversalTagNumber)tag.TagValue)
            : null;
    }

    private static string Escape(string text)
    {
        var escaped = new StringBuilder(text.Length);
        var end = text.AsSpan().TrimEnd(' ').Length;
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] == '\0')
            {
                escaped.Append("\\00");
                continue;
            }

            var isBlankAtAnEdge = text[i] == ' ' && (i == 0 || i >= end);
            if (Escaped.Contains(text[i], StringComparison.Ordinal) || isBlankAtAnEdge || (i == 0 && text[i] == '#'))
                escaped.Append('\\');
            escaped.Append(text[i]);
        }

        return escaped.ToString();
    }
}
