using System.Collections.Frozen;
using System.Globalization;

namespace Ottla.StateMachines.Groups.Regex;

/// <summary>The named character classes of RE2, reduced to ASCII.</summary>
internal static class CharacterClasses
{
    private static readonly AsciiSet s_space = AsciiSet.Of("\t\n\f\r ");
    private static readonly AsciiSet s_graph = AsciiSet.Range('!', '~');

    private static readonly FrozenDictionary<string, AsciiSet> s_posix = new Dictionary<string, AsciiSet>(StringComparer.Ordinal)
    {
        ["alnum"] = AsciiSet.Letters | AsciiSet.Digits,
        ["alpha"] = AsciiSet.Letters,
        ["ascii"] = AsciiSet.All,
        ["blank"] = AsciiSet.Of("\t "),
        ["cntrl"] = AsciiSet.Range(0, 0x1F) | AsciiSet.Of(0x7F),
        ["digit"] = AsciiSet.Digits,
        ["graph"] = s_graph,
        ["lower"] = AsciiSet.Lower,
        ["print"] = s_graph | AsciiSet.Of(' '),
        ["punct"] = s_graph & ~(AsciiSet.Letters | AsciiSet.Digits),
        ["space"] = s_space | AsciiSet.Of('\v'),
        ["upper"] = AsciiSet.Upper,
        ["word"] = AsciiSet.Word,
        ["xdigit"] = AsciiSet.Digits | AsciiSet.Range('a', 'f') | AsciiSet.Range('A', 'F'),
    }.ToFrozenDictionary(StringComparer.Ordinal);

    /// <summary>Unicode's two-letter names of general categories, in the order of <see cref="UnicodeCategory"/>.</summary>
    private static readonly string[] s_categories =
    [
        "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co", "Pc", "Pd", "Ps", "Pe",
            "Pi", "Pf",
        "Po", "Sm", "Sc", "Sk", "So",
    ];

    /// <summary>The scripts without ASCII characters: their classes are valid but match no topic.</summary>
    private static readonly FrozenSet<string> s_otherScripts = (
        "Adlam Ahom Anatolian_Hieroglyphs Arabic Armenian Avestan Balinese Bamum Bassa_Vah Batak Bengali Bhaiksuki Bopomofo Brahmi "
        + "Braille Buginese Buhid "
        + "Canadian_Aboriginal Carian Caucasian_Albanian Chakma Cham Cherokee Chorasmian Coptic Cuneiform Cypriot Cypro_Minoan Cyrillic "
        + "Deseret Devanagari "
        + "Dives_Akuru Dogra Duployan Egyptian_Hieroglyphs Elbasan Elymaic Ethiopic Georgian Glagolitic Gothic Grantha Greek Gujarati "
        + "Gunjala_Gondi Gurmukhi "
        + "Han Hangul Hanifi_Rohingya Hanunoo Hatran Hebrew Hiragana Imperial_Aramaic Inherited Inscriptional_Pahlavi "
        + "Inscriptional_Parthian Javanese Kaithi "
        + "Kannada Katakana Kawi Kayah_Li Kharoshthi Khitan_Small_Script Khmer Khojki Khudawadi Lao Lepcha Limbu Linear_A Linear_B Lisu "
        + "Lycian Lydian Mahajani "
        + "Makasar Malayalam Mandaic Manichaean Marchen Masaram_Gondi Medefaidrin Meetei_Mayek Mende_Kikakui Meroitic_Cursive "
        + "Meroitic_Hieroglyphs Miao Modi "
        + "Mongolian Mro Multani Myanmar Nabataean Nag_Mundari Nandinagari New_Tai_Lue Newa Nko Nushu Nyiakeng_Puachue_Hmong Ogham "
        + "Ol_Chiki Old_Hungarian "
        + "Old_Italic Old_North_Arabian Old_Permic Old_Persian Old_Sogdian Old_South_Arabian Old_Turkic Old_Uyghur Oriya Osage Osmanya "
        + "Pahawh_Hmong Palmyrene "
        + "Pau_Cin_Hau Phags_Pa Phoenician Psalter_Pahlavi Rejang Runic Samaritan Saurashtra Sharada Shavian Siddham SignWriting Sinhala "
        + "Sogdian Sora_Sompeng "
        + "Soyombo Sundanese Syloti_Nagri Syriac Tagalog Tagbanwa Tai_Le Tai_Tham Tai_Viet Takri Tamil Tangsa Tangut Telugu Thaana Thai "
        + "Tibetan Tifinagh "
        + "Tirhuta Toto Ugaritic Vai Vithkuqi Wancho Warang_Citi Yezidi Yi Zanabazar_Square").Split(' ')
            .ToFrozenSet(StringComparer.Ordinal);

    /// <summary>A POSIX class such as <c>[[:alpha:]]</c>; null when the name is unknown.</summary>
    public static AsciiSet? Posix(string name) => s_posix.TryGetValue(name, out var set) ? set : null;

    /// <summary>A Perl class such as <c>\d</c>; null when the letter is unknown.</summary>
    public static AsciiSet? Perl(char letter) => letter switch
    {
        'd' => AsciiSet.Digits,
        'D' => ~AsciiSet.Digits,
        's' => s_space,
        'S' => ~s_space,
        'w' => AsciiSet.Word,
        'W' => ~AsciiSet.Word,
        _ => null,
    };

    /// <summary>A Unicode category or script such as <c>\p{Lu}</c>; null when the name is unknown.</summary>
    public static AsciiSet? Unicode(string name)
    {
        if (name is "Any")
            return AsciiSet.All;
        if (name is "Latin")
            return AsciiSet.Letters;
        if (name is "Common")
            return ~AsciiSet.Letters;
        if (s_otherScripts.Contains(name))
            return AsciiSet.Empty;
        return name.Length is 1 or 2 && s_categories.Any(category => category.StartsWith(name, StringComparison.Ordinal))
            ? AsciiSet.Where(
                character => s_categories[(int)CharUnicodeInfo.GetUnicodeCategory(character)].StartsWith(name, StringComparison.Ordinal))
            : null;
    }
}
