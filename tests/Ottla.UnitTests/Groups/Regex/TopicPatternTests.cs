using Ottla.Kernel;
using Ottla.StateMachines.Groups.Regex;

namespace Ottla.UnitTests.Groups.Regex;

/// <summary>The regular expressions of topics against what RE2's syntax says, as another implementation of it (Go's) decided.</summary>
public sealed class TopicPatternTests
{
    private static readonly string[] Topics =
        ("a b ab abc aab foo Foo foo-1 foo.bar foo_bar FOO x k K s 1 12 a1 a-b a.b ___ orders orders-eu orders.us.2024 aaaa aXb aaaaaaaaaa")
        .Split(' ');

    /// <summary>An expression, a tilde, and either "!" (no expression) or "=" and the topics that it matches as a whole.</summary>
    private const string Vectors = """
        foo ~ =foo
        foo.* ~ =foo foo-1 foo.bar foo_bar
        foo|bar ~ =foo
        (foo|a)(-1)? ~ =a foo foo-1
        ^foo$ ~ =foo
        \Afoo\z ~ =foo
        foo\Z ~ !
        .* ~ =a b ab abc aab foo Foo foo-1 foo.bar foo_bar FOO x k K s 1 12 a1 a-b a.b ___ orders orders-eu orders.us.2024 aaaa aXb aaaaaaaaaa
        a* ~ =a aaaa aaaaaaaaaa
        a+b? ~ =a ab aab aaaa aaaaaaaaaa
        a{2}b ~ =aab
        a{2,} ~ =aaaa aaaaaaaaaa
        a{1,3}b ~ =ab aab
        a{,2} ~ =
        a{02} ~ =
        a{1001} ~ !
        a{3,1} ~ !
        (a{100}){11} ~ !
        (a{100}){10} ~ =
        ((a{10}){10}){10} ~ =
        a** ~ !
        a*+ ~ !
        a*? ~ =a aaaa aaaaaaaaaa
        a??? ~ !
        *a ~ !
        (*) ~ !
        |* ~ !
        (?i)* ~ !
        a(?i)* ~ =a aaaa aaaaaaaaaa
        ^* ~ =
        a|* ~ !
        () ~ =
        (|a)b ~ =b ab
        a||b ~ =a b
        (?:a)b ~ =ab
        (?P<n>a)b ~ =ab
        (?P<n-1>a) ~ !
        (?P<>a) ~ !
        (?P=n) ~ !
        (?=a) ~ !
        (?!a) ~ !
        (?<=a)b ~ !
        (?<!a)b ~ !
        (?>a) ~ !
        (?#comment) ~ !
        (?i)foo ~ =foo Foo FOO
        (?i:f)oo ~ =foo Foo
        (?i)F(?-i)oo ~ =foo Foo
        ((?i)f)OO ~ =FOO
        (?s).* ~ =a b ab abc aab foo Foo foo-1 foo.bar foo_bar FOO x k K s 1 12 a1 a-b a.b ___ orders orders-eu orders.us.2024 aaaa aXb aaaaaaaaaa
        (?m)^foo$ ~ =foo
        (?U)a+ ~ =a aaaa aaaaaaaaaa
        (?x)a ~ !
        (?i ~ !
        (? ~ !
        (?-) ~ !
        (?)a ~ =a
        (?i-s)a ~ =a
        (?i-)a ~ !
        (a ~ !
        a) ~ !
        a] ~ =
        [a ~ !
        []a] ~ =a
        [^]a] ~ =b x k K s 1
        [a-c]+ ~ =a b ab abc aab aaaa aaaaaaaaaa
        [c-a] ~ !
        [a-] ~ =a
        [-a] ~ =a
        [a\-b]+ ~ =a b ab aab a-b aaaa aaaaaaaaaa
        [\w.-]+ ~ =a b ab abc aab foo Foo foo-1 foo.bar foo_bar FOO x k K s 1 12 a1 a-b a.b ___ orders orders-eu orders.us.2024 aaaa aXb aaaaaaaaaa
        [\d]+ ~ =1 12
        [a-\d] ~ !
        [^\W\d]+ ~ =a b ab abc aab foo Foo foo_bar FOO x k K s ___ orders aaaa aXb aaaaaaaaaa
        [[:alpha:]]+ ~ =a b ab abc aab foo Foo FOO x k K s orders aaaa aXb aaaaaaaaaa
        [[:^alpha:]]+ ~ =1 12 ___
        [[:digit:][:punct:]] ~ =1
        [[:word:]]+ ~ =a b ab abc aab foo Foo foo_bar FOO x k K s 1 12 a1 ___ orders aaaa aXb aaaaaaaaaa
        [[:bogus:]] ~ !
        [[:alpha] ~ =a
        [:alpha:] ~ =a
        (?i)[a-c]+ ~ =a b ab abc aab aaaa aaaaaaaaaa
        (?i)[^a-c]+ ~ =foo Foo foo-1 FOO x k K s 1 12 ___ orders orders-eu orders.us.2024
        (?i)[[:upper:]]+ ~ =a b ab abc aab foo Foo FOO x k K s orders aaaa aXb aaaaaaaaaa
        \d+ ~ =1 12
        \D+ ~ =a b ab abc aab foo Foo foo.bar foo_bar FOO x k K s a-b a.b ___ orders orders-eu aaaa aXb aaaaaaaaaa
        \w+ ~ =a b ab abc aab foo Foo foo_bar FOO x k K s 1 12 a1 ___ orders aaaa aXb aaaaaaaaaa
        \W ~ =
        \s ~ =
        \S+ ~ =a b ab abc aab foo Foo foo-1 foo.bar foo_bar FOO x k K s 1 12 a1 a-b a.b ___ orders orders-eu orders.us.2024 aaaa aXb aaaaaaaaaa
        \pL+ ~ =a b ab abc aab foo Foo FOO x k K s orders aaaa aXb aaaaaaaaaa
        \p{L}+ ~ =a b ab abc aab foo Foo FOO x k K s orders aaaa aXb aaaaaaaaaa
        \p{Lu}+ ~ =FOO K
        \p{^Lu}+ ~ =a b ab abc aab foo foo-1 foo.bar foo_bar x k s 1 12 a1 a-b a.b ___ orders orders-eu orders.us.2024 aaaa aaaaaaaaaa
        \PL+ ~ =1 12 ___
        \p{Latin}+ ~ =a b ab abc aab foo Foo FOO x k K s orders aaaa aXb aaaaaaaaaa
        \p{Greek} ~ =
        \P{Greek}+ ~ =a b ab abc aab foo Foo foo-1 foo.bar foo_bar FOO x k K s 1 12 a1 a-b a.b ___ orders orders-eu orders.us.2024 aaaa aXb aaaaaaaaaa
        \p{Common}+ ~ =1 12 ___
        \p{Any}+ ~ =a b ab abc aab foo Foo foo-1 foo.bar foo_bar FOO x k K s 1 12 a1 a-b a.b ___ orders orders-eu orders.us.2024 aaaa aXb aaaaaaaaaa
        \p{Nd}+ ~ =1 12
        \p{Sk} ~ =
        \p{Bogus} ~ !
        \p{lu} ~ !
        \p{L ~ !
        \p ~ !
        \pX ~ !
        (?i)\p{Lu}+ ~ =a b ab abc aab foo Foo FOO x k K s orders aaaa aXb aaaaaaaaaa
        \bfoo\b.* ~ =foo foo-1 foo.bar
        foo\b-1 ~ =foo-1
        foo\B_bar ~ =foo_bar
        \B ~ =
        \b ~ =
        \Qa.b\E ~ =a.b
        \Qa.b ~ =a.b
        \Qa*\E* ~ =a
        \Q\E ~ =
        a\E ~ !
        \x61 ~ =a
        \x{61}b ~ =ab
        \x{110000} ~ !
        \x{} ~ !
        \x6 ~ !
        \x ~ !
        \141 ~ =a
        \01 ~ =
        \1 ~ !
        (a)\1 ~ !
        \8 ~ !
        \0 ~ =
        \. ~ =
        foo\.bar ~ =foo.bar
        foo\_bar ~ =foo_bar
        \- ~ =
        \q ~ !
        \y ~ !
        \C ~ !
        \G ~ !
        \K ~ !
        \R ~ !
        \u0061 ~ !
        \cA ~ !
        \e ~ !
        \a\f\n\r\t\v ~ =
        \ ~ !
        é ~ =
        (?i)ſ ~ =s
        (?i)K ~ =k K
        (?i)[ſ] ~ =s
        (?i)[^ſ] ~ =a b x k K 1
        [a-zé]+ ~ =a b ab abc aab foo x k s orders aaaa aaaaaaaaaa
        a{ ~ =
        a{1 ~ =
        a{1, ~ =
        a{1}{2} ~ !
        a{1}? ~ =a
        a{-1} ~ =
        {1} ~ !
        x{0} ~ =
        x{0,0}a ~ =a
        (x{0}){1000} ~ =
        orders[-.](eu|us\..+) ~ =orders-eu orders.us.2024
        orders(-[a-z]{2}|\.[a-z]{2}\.\d{4})? ~ =orders orders-eu orders.us.2024
        (a|b|ab)* ~ =a b ab aab aaaa aaaaaaaaaa
        (a*)* ~ =a aaaa aaaaaaaaaa
        (a*)+ ~ =a aaaa aaaaaaaaaa
        (a|aa)+ ~ =a aaaa aaaaaaaaaa
        (a+)+b ~ =ab aab
        """;

    public static TheoryData<string, string> Expressions
    {
        get
        {
            var data = new TheoryData<string, string>();
            foreach (var line in Vectors.Split('\n'))
                data.Add(line.Split(" ~ ")[0], line.Split(" ~ ")[1]);
            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Expressions))]
    public void Accepts_and_matches_what_RE2_does(string expression, string verdict)
    {
        if (verdict == "!")
        {
            Assert.NotEmpty(Assert.Throws<TopicPatternException>(() => TopicPattern.Parse(expression)).Message);
            return;
        }

        var pattern = TopicPattern.Parse(expression);
        Assert.Equal(verdict[1..], string.Join(' ', Topics.Where(pattern.Matches)));
    }

    [Theory]
    [InlineData("(", "missing closing )")]
    [InlineData(")", "unexpected )")]
    [InlineData("[a", "missing closing ]")]
    [InlineData("*", "missing argument to repetition operator")]
    [InlineData("a**", "invalid nested repetition operator")]
    [InlineData("a{1001}", "bad repetition operator")]
    [InlineData("(?=a)", "invalid or unsupported Perl syntax")]
    [InlineData("(?P<a-b>c)", "invalid named capture")]
    [InlineData("(?P<a>b)(?P<a>c)", "duplicate capture group name")]
    [InlineData("\\", "trailing backslash at end of expression")]
    [InlineData("\\Z", "invalid escape sequence")]
    [InlineData("[b-a]", "invalid character class range")]
    public void Says_what_is_wrong(string expression, string message) =>
        Assert.Equal(message, Assert.Throws<TopicPatternException>(() => TopicPattern.Parse(expression)).Message);

    [Fact]
    public void Names_of_groups_may_be_written_in_both_ways() => Assert.True(TopicPattern.Parse("(?<first>a)(?P<second>b)").Matches("ab"));

    [Fact]
    public void Everything_has_a_bound()
    {
        Assert.Throws<TopicPatternException>(() => TopicPattern.Parse(new string('(', 100_000)));
        Assert.Throws<TopicPatternException>(() => TopicPattern.Parse(string.Concat(Enumerable.Repeat("(a{1000})", 100))));
        Assert.True(TopicPattern.Parse(new string('(', 900) + "a" + new string(')', 900)).Matches("a"));
    }

    [Fact]
    public void An_expression_that_would_backtrack_for_ever_does_not()
    {
        var pattern = TopicPattern.Parse("(a*)*(a|aa)*(a+)+b");
        Assert.False(pattern.Matches(new string('a', 249)));
        Assert.True(pattern.Matches(new string('a', 248) + "b"));
    }

    [Fact]
    public void States_that_were_forgotten_are_found_again()
    {
        // Which of the last ten characters were an a: a thousand states and more.
        var pattern = TopicPattern.Parse("[ab]*a[ab]{10}");
        var random = new Prng(1);
        for (var i = 0; i < 200; i++)
        {
            var topic = string.Concat(Enumerable.Range(0, 200).Select(_ => random.NextChance(50) ? 'a' : 'b'));
            Assert.Equal(topic[^11] == 'a', pattern.Matches(topic));
        }
    }
}
