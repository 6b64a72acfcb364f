package strictyaml

import "strings"

// DidYouMean returns a text such as "; did you mean NAME?" for the known name that is closest to name, or nothing if none
// is close.
func DidYouMean(name string, known []string) string {
	const longest = 64 // nobody means a longer name
	if len(name) > longest {
		return ""
	}
	best, least := "", min(4, 2+len(name)/3, len(name)) // short names have less room for a typo
	for _, k := range known {
		switch {
		case strings.EqualFold(name, k):
			return "; did you mean " + k + "?"
		case len(k) <= longest:
			if d := distance(name, k); d < least {
				best, least = k, d
			}
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

// distance is the Levenshtein distance of two short strings.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
