package assign

import "strings"

const hexDigits = "0123456789ABCDEF"

// Escape returns a key in letters that can be the end of a subject of NATS and a key of a bucket:
// letters, digits, '-', '_', '/', and single dots that aren't at an end stay. Each other byte becomes '='
// and two hexadecimal digits; no bytes at all become a lone '='. No two keys become the same.
func Escape(key string) string {
	if key == "" {
		return "="
	}
	plain := 0
	for plain < len(key) && staysAt(key, plain) {
		plain++
	}
	if plain == len(key) {
		return key
	}
	escaped := make([]byte, plain, len(key)+16)
	copy(escaped, key)
	for i := plain; i < len(key); i++ {
		if c := key[i]; staysAt(key, i) {
			escaped = append(escaped, c)
		} else {
			escaped = append(escaped, '=', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return string(escaped)
}

// staysAt reports whether a byte of a key is one that Escape leaves as it is. Of dots that follow
// each other the last one stays, if it isn't at the end.
func staysAt(key string, i int) bool {
	switch c := key[i]; {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '/':
		return true
	case c == '.':
		return i > 0 && i < len(key)-1 && key[i+1] != '.'
	default:
		return false
	}
}

// Unescape returns the key that Escape makes s of. ok is false if there is none.
func Unescape(s string) (key string, ok bool) {
	if s == "=" {
		return "", true
	}
	if strings.IndexByte(s, '=') < 0 {
		return s, s != "" && Escape(s) == s
	}
	raw := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '=' {
			raw = append(raw, s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", false
		}
		hi, lo := strings.IndexByte(hexDigits, s[i+1]), strings.IndexByte(hexDigits, s[i+2])
		if hi < 0 || lo < 0 {
			return "", false
		}
		raw = append(raw, byte(hi<<4|lo))
		i += 2
	}
	key = string(raw)
	return key, Escape(key) == s
}
