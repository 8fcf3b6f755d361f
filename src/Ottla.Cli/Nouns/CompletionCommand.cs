using System.CommandLine;
using Ottla.Cli.Commands;

namespace Ottla.Cli.Nouns;

/// <summary><c>ottla completion</c>: prints the scripts with which shells complete command lines.</summary>
internal static class CompletionCommand
{
    private const string Bash =
        """
        # bash completion of ottla. Add to ~/.bashrc: source <(ottla completion bash)
        _ottla() {
            local IFS=$'\n' words=("${COMP_WORDS[@]:1:COMP_CWORD}")
            COMPREPLY=($("${COMP_WORDS[0]}" __complete "${words[@]}" 2>/dev/null))
        }
        complete -o default -F _ottla ottla
        """;

    private const string Zsh =
        """
        #compdef ottla
        # zsh completion of ottla. Add to ~/.zshrc, behind compinit: source <(ottla completion zsh)
        _ottla() {
            local -a found
            found=(${(f)"$(${words[1]} __complete "${(@)words[2,CURRENT]}" 2>/dev/null)"})
            (( ${#found} )) && compadd -a found || _files
        }
        compdef _ottla ottla
        """;

    private const string Fish =
        """
        # fish completion of ottla. Save as ~/.config/fish/completions/ottla.fish
        function __ottla_complete
            set -l words (commandline -opc) (commandline -ct)
            ottla __complete $words[2..-1] 2>/dev/null
        end
        complete -c ottla -f -a '(__ottla_complete)'
        """;

    public static Command Create()
    {
        var shell = new Argument<string>("shell") { Description = "bash, zsh or fish.", HelpName = "SHELL" };
        shell.AcceptOnlyFromAmong("bash", "zsh", "fish");
        var command = new Command(
            "completion", "Print the script with which a shell completes command lines, names of topics and groups too: "
                + "source <(ottla completion bash).") { shell };
        command.SetAction(arguments =>
        {
            Console.WriteLine(arguments.GetValue(shell) switch
            {
                "bash" => Bash,
                "zsh" => Zsh,
                _ => Fish,
            });
            return ExitCode.Success;
        });
        return command;
    }
}
