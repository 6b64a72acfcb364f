package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

type manCmd struct{}

// Help is shown below the usage.
func (manCmd) Help() string {
	return `The page has every command with its flags, in the form that man reads.

Examples:

  flowlatch man > /usr/local/share/man/man1/flowlatch.1`
}

// Run prints the page.
func (manCmd) Run(ctx *kong.Context, s streams) error {
	_, err := io.WriteString(s.out, manualPage(ctx.Model.Node))
	return err
}

// manualPage is what the help of all commands says, as a page of section 1.
func manualPage(root *kong.Node) string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p(`.TH FLOWLATCH 1 "" "flowlatch %s" "User Commands"`, roff(buildVersion()))
	p(".SH NAME\nflowlatch \\- %s", roff(strings.TrimSuffix(strings.TrimPrefix(root.Help, "A "), ".")))
	p(".SH SYNOPSIS\n.B flowlatch\n.I command\n[\\fIflags\\fR]")
	p(".SH DESCRIPTION")
	p("%s It finds out which chatflow a request is for, checks the request's Bearer key against a key file that it reloads when it changes, and forwards only what passes.", roff(root.Help))
	p(".SH COMMANDS")
	for _, c := range completedCommands(root)[1:] {
		node := find(root, c.path)
		if len(c.subs) > 0 {
			continue
		}
		p(".SS \"%s\"", roff(strings.TrimPrefix(node.Summary(), "flowlatch ")))
		p("%s", roff(node.Help))
		manText(&b, node.Detail)
		for _, a := range node.Positional {
			p(".TP\n\\fI%s\\fR\n%s", roff(a.Name), roff(a.Help))
		}
		for _, f := range node.Flags {
			manFlag(&b, f)
		}
	}
	p(".SH EXIT STATUS\n0: fine. 1: refused or failed. 2: called in a wrong way.")
	p(".SH ENVIRONMENT\nA setting may come from its flag, its environment variable or the settings file that")
	p(".B \\-\\-config\nnames, in this order. An empty variable counts as not set.")
	return b.String()
}

func find(n *kong.Node, path []string) *kong.Node {
	for _, word := range path {
		for _, child := range n.Children {
			if child.Name == word {
				n = child
				break
			}
		}
	}
	return n
}

// manFlag writes a flag with its value, default and variable.
func manFlag(b *strings.Builder, f *kong.Flag) {
	b.WriteString(".TP\n\\fB" + roff("--"+f.Name) + "\\fR")
	if !f.IsBool() {
		b.WriteString("=\\fI" + roff(strings.Trim(f.FormatPlaceHolder(), `"`)) + "\\fR")
	}
	b.WriteString("\n" + roff(f.Help))
	if f.HasDefault && f.Default != "" {
		b.WriteString(" Default: " + roff(f.Default) + ".")
	}
	if len(f.Envs) > 0 {
		b.WriteString(" Environment: " + roff(strings.Join(f.Envs, ", ")) + ".")
	}
	b.WriteString("\n")
}

// manText writes the text below a command's usage: paragraphs, and examples as they stand.
func manText(b *strings.Builder, text string) {
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		if strings.HasPrefix(paragraph, "  ") {
			b.WriteString(".PP\n.nf\n" + roff(paragraph) + "\n.fi\n")
		} else if paragraph = strings.TrimSpace(paragraph); paragraph != "" {
			b.WriteString(".PP\n" + roff(paragraph) + "\n")
		}
	}
}

// roff is text that stands for itself in a manual page.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, `"`, `\(dq`, "`", `\(ga`).Replace(s)
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}
