using System.Text;
using Ottla.Cli.Monitoring;

namespace Ottla.UnitTests.Monitoring;

public sealed class HttpRequestHeadTests
{
    [Theory]
    [InlineData("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "/metrics", "", true)]
    [InlineData("GET /metrics?x=1 HTTP/1.1\r\nConnection: close\r\n\r\n", "GET", "/metrics", "x=1", false)]
    [InlineData("HEAD /healthz HTTP/1.0\r\n\r\n", "HEAD", "/healthz", "", false)]
    [InlineData("GET / HTTP/1.0\r\nconnection: Keep-Alive\r\n\r\n", "GET", "/", "", true)]
    [InlineData("GET /a HTTP/1.1\r\n: odd\r\nno colon\r\n\r\n", "GET", "/a", "", true)]
    public void A_head_is_read(string text, string method, string path, string query, bool keeps)
    {
        var bytes = Encoding.Latin1.GetBytes(text + "more");
        var length = HttpRequestHead.LengthIn(bytes);
        Assert.Equal(text.Length, length);
        Assert.Equal(new HttpRequestHead(method, path, query, keeps), HttpRequestHead.Parse(bytes.AsSpan(0, length)));
    }

    [Theory]
    [InlineData("\0\0\0\u0010 Kafka\r\n\r\n")]
    [InlineData("GET /metrics\r\n\r\n")]
    [InlineData("GET metrics HTTP/1.1\r\n\r\n")]
    [InlineData("GET /metrics HTTP/2.0\r\n\r\n")]
    [InlineData("\r\n\r\n")]
    public void What_is_no_head_is_none(string text) => Assert.Null(HttpRequestHead.Parse(Encoding.Latin1.GetBytes(text)));

    [Fact]
    public void A_head_that_has_not_ended_has_no_length() => Assert.Equal(-1, HttpRequestHead.LengthIn("GET / HTTP/1.1\r\nHost: a\r\n"u8));
}
