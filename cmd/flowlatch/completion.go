package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/flowlatch/flowlatch/proxy/route"
)

type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"The shell: bash, zsh or fish."`
}

// Help is shown below the usage.
func (completionCmd) Help() string {
	return `The script knows the commands, their flags and the words that a flag takes. Put it where your shell looks for such scripts.

Examples:

  flowlatch completion bash > /etc/bash_completion.d/flowlatch
  flowlatch completion zsh > /usr/local/share/zsh/site-functions/_flowlatch
  flowlatch completion fish > ~/.config/fish/completions/flowlatch.fish`
}

// Run prints the script.
func (cmd *completionCmd) Run(ctx *kong.Context, s streams) error {
	write := map[string]func([]completed) string{"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion}[cmd.Shell]
	_, err := io.WriteString(s.out, write(completedCommands(ctx.Model.Node)))
	return err
}

// completed is what may follow a command.
type completed struct {
	path  []string // the command's words; none for the program itself
	subs  []*kong.Node
	flags []*kong.Flag
	words []string // of its argument
}

func (c completed) name() string { return strings.Join(c.path, " ") }

// completedCommands returns the program's node and every command below it.
func completedCommands(root *kong.Node) (all []completed) {
	var add func(n *kong.Node, path []string)
	add = func(n *kong.Node, path []string) {
		c := completed{path: path, words: argumentWords[strings.Join(path, " ")]}
		for _, child := range n.Children {
			if child.Type == kong.CommandNode && !child.Hidden {
				c.subs = append(c.subs, child)
			}
		}
		for _, f := range slices.Concat(root.Flags, n.Flags) {
			if !f.Hidden && !slices.Contains(c.flags, f) {
				c.flags = append(c.flags, f)
			}
		}
		all = append(all, c)
		for _, sub := range c.subs {
			add(sub, append(slices.Clone(path), sub.Name))
		}
	}
	add(root, nil)
	return all
}

// argumentWords are the words that a command's argument can be.
var argumentWords = map[string][]string{
	"completion": {"bash", "zsh", "fish"},
	"explain":    {"GET", "POST", "PUT", "DELETE", "OPTIONS"},
}

// flagWords returns the words that a flag's value can be, or begin with; none if it can be anything.
func flagWords(name string) []string {
	switch name {
	case "upstream-transport":
		return []string{"direct", "standard"}
	case "upstream-authorization":
		return []string{"remove", "forward", "file:"}
	case "discovery":
		return []string{"open", "keyed"}
	case "log-level":
		return []string{"debug", "info", "warn", "error"}
	case "log-format":
		return []string{"json", "console"}
	case "log-allowed", "cut-streams-on-revoke":
		return []string{"true", "false"}
	case "expose":
		var groups []string
		for _, p := range route.Presets() {
			for _, r := range p.Routes {
				if !slices.Contains(groups, r.Group) {
					groups = append(groups, r.Group)
				}
			}
		}
		return groups
	case "preset":
		var names []string
		for _, p := range route.Presets() {
			names = append(names, p.Name)
		}
		return names
	}
	return nil
}

// isFile reports whether a flag's value is a file.
func isFile(f *kong.Flag) bool { return f.PlaceHolder == "FILE" || f.Name == "keys" }

// valueFlags returns every flag that takes a value, once.
func valueFlags(commands []completed) (flags []*kong.Flag) {
	seen := map[string]bool{}
	for _, c := range commands {
		for _, f := range c.flags {
			if (!f.IsBool() || flagWords(f.Name) != nil) && !seen[f.Name] {
				seen[f.Name] = true
				flags = append(flags, f)
			}
		}
	}
	return flags
}

// next are the words that may follow a command, flags last.
func (c completed) next() (words, flags []string) {
	for _, sub := range c.subs {
		words = append(words, sub.Name)
	}
	words = append(words, c.words...)
	for _, f := range c.flags {
		flags = append(flags, "--"+f.Name)
	}
	return words, flags
}

func bashCompletion(commands []completed) string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("# bash completion for flowlatch; made by `flowlatch completion bash`.")
	p("_flowlatch() {")
	p("    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command= words= joined= i")
	p("    # An equals sign is a word of its own to bash.")
	p("    if [[ $cur == = ]]; then cur= joined=1; elif [[ $prev == = ]]; then prev=${COMP_WORDS[COMP_CWORD-2]} joined=1; fi")
	p("    COMPREPLY=()")
	p("    for ((i = 1; i < COMP_CWORD; i++)); do")
	p("        case \"${command:+$command }${COMP_WORDS[i]}\" in")
	p("        %s) command=\"${command:+$command }${COMP_WORDS[i]}\" ;;", paths(commands, "|"))
	p("        esac")
	p("    done")
	p("    case $prev$joined in")
	for _, f := range valueFlags(commands) {
		words := flagWords(f.Name)
		pattern := "--" + f.Name + "|--" + f.Name + "1"
		if f.IsBool() {
			pattern = "--" + f.Name + "1" // its value cannot stand apart
		}
		switch {
		case words != nil:
			p("    %s) words='%s' ;;", pattern, strings.Join(words, " "))
		case isFile(f):
			p("    %s)", pattern)
			p("        compopt -o filenames 2>/dev/null")
			p("        while IFS= read -r i; do COMPREPLY+=(\"$i\"); done < <(compgen -f -- \"$cur\")")
			p("        return ;;")
		default:
			p("    %s) return ;;", pattern)
		}
	}
	p("    *)")
	p("        case $command in")
	for _, c := range commands {
		words, flags := c.next()
		p("        '%s') words='%s'; [[ $cur == -* ]] && words='%s' ;;", c.name(), strings.Join(words, " "), strings.Join(flags, " "))
	}
	p("        esac ;;")
	p("    esac")
	p("    while IFS= read -r i; do COMPREPLY+=(\"$i\"); done < <(compgen -W \"$words\" -- \"$cur\")")
	p("}")
	p("complete -F _flowlatch flowlatch")
	return b.String()
}

// paths are the names of all commands, quoted, as a pattern of a shell.
func paths(commands []completed, between string) string {
	var names []string
	for _, c := range commands[1:] {
		names = append(names, "'"+c.name()+"'")
	}
	return strings.Join(names, between)
}

func zshCompletion(commands []completed) string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("#compdef flowlatch")
	p("# zsh completion for flowlatch; made by `flowlatch completion zsh`.")
	p("_flowlatch() {")
	p("    local at= flag=$words[CURRENT-1] joined= i")
	p("    local -a follow options")
	p("    for ((i = 2; i < CURRENT; i++)); do")
	p("        case ${at:+$at }$words[i] in")
	p("        (%s) at=${at:+$at }$words[i] ;;", paths(commands, "|"))
	p("        esac")
	p("    done")
	p("    if [[ $PREFIX == --*=* ]]; then flag=${PREFIX%%%%=*} joined=1; compset -P '--*='; fi")
	p("    case $flag$joined in")
	for _, f := range valueFlags(commands) {
		pattern := "(--" + f.Name + "|--" + f.Name + "1)"
		if f.IsBool() {
			pattern = "(--" + f.Name + "1)"
		}
		switch words := flagWords(f.Name); {
		case words != nil:
			p("    %s) compadd -- %s; return ;;", pattern, strings.Join(words, " "))
		case isFile(f):
			p("    %s) _files; return ;;", pattern)
		default:
			p("    %s) _message %s; return ;;", pattern, quoted(f.Help))
		}
	}
	p("    esac")
	p("    case $at in")
	for _, c := range commands {
		p("    ('%s')", c.name())
		p("        follow=(%s)", described(c, func(name, help string) string { return quoted(name + ":" + help) }, false))
		p("        options=(%s) ;;", described(c, func(name, help string) string { return quoted("--" + name + ":" + help) }, true))
	}
	p("    esac")
	p("    if [[ $PREFIX == -* ]]; then _describe option options; else _describe command follow; fi")
	p("}")
	p("if [[ $funcstack[1] == _flowlatch ]]; then _flowlatch \"$@\"; else compdef _flowlatch flowlatch; fi")
	return b.String()
}

// described lists what may follow a command, its flags or the rest, each as the function writes it.
func described(c completed, write func(name, help string) string, flags bool) string {
	var items []string
	if flags {
		for _, f := range c.flags {
			items = append(items, write(f.Name, f.Help))
		}
		return strings.Join(items, " ")
	}
	for _, sub := range c.subs {
		items = append(items, write(sub.Name, sub.Help))
	}
	for _, w := range c.words {
		items = append(items, write(w, ""))
	}
	return strings.Join(items, " ")
}

// quoted is text as one word of a shell.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func fishCompletion(commands []completed) string {
	var b strings.Builder
	b.WriteString("# fish completion for flowlatch; made by `flowlatch completion fish`.\ncomplete -c flowlatch -f\n")
	for _, c := range commands {
		when := "__fish_use_subcommand"
		for i, word := range c.path {
			if i == 0 {
				when = "__fish_seen_subcommand_from " + word
			} else {
				when += "; and __fish_seen_subcommand_from " + word
			}
		}
		words, _ := c.next()
		here := when
		if len(c.path) > 0 && len(c.subs) > 0 {
			here += "; and not __fish_seen_subcommand_from " + strings.Join(words, " ")
		}
		for _, sub := range c.subs {
			fmt.Fprintf(&b, "complete -c flowlatch -n '%s' -a %s -d %s\n", here, sub.Name, fishQuoted(sub.Help))
		}
		if len(c.words) > 0 {
			fmt.Fprintf(&b, "complete -c flowlatch -n '%s' -a '%s'\n", here, strings.Join(c.words, " "))
		}
		for _, f := range c.flags {
			value := " -x" // something follows
			switch words := flagWords(f.Name); {
			case f.IsBool() && words == nil:
				value = ""
			case f.IsBool():
				value = " -a '" + strings.Join(words, " ") + "'"
			case words != nil:
				value = " -x -a '" + strings.Join(words, " ") + "'"
			case isFile(f):
				value = " -r -F"
			}
			fmt.Fprintf(&b, "complete -c flowlatch -n '%s' -l %s%s -d %s\n", here, f.Name, value, fishQuoted(f.Help))
		}
	}
	return b.String()
}

// fishQuoted is text as one word of fish.
func fishQuoted(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(s) + "'"
}
