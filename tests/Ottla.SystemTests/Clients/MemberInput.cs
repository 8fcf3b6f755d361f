namespace Ottla.SystemTests.Clients;

/// <summary>The standard input of a member: its end has the member leave.</summary>
internal static class MemberInput
{
    /// <summary>Reads it on a thread of its own, and cancels at its end.</summary>
    public static void CancelAtEnd(CancellationTokenSource leaving)
    {
        new Thread(Read) { IsBackground = true }.Start();

        void Read()
        {
            while (Console.In.Read() >= 0)
            {
            }

            leaving.Cancel();
        }
    }
}
