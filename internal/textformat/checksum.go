package textformat

// luhn accepts two or more digits whose last one is the check digit of the
// others by the double-add-double method (H. P. Luhn, US patent 2,950,048).
// Single spaces or hyphens may stand between digits.
func luhn(b []byte) bool {
	sum, digits, double := 0, 0, false
	for i := len(b) - 1; i >= 0; i-- {
		c := b[i]
		if c == ' ' || c == '-' {
			if i == 0 || i == len(b)-1 || !isDigit(b[i-1]) || !isDigit(b[i+1]) {
				return false
			}
			continue
		}
		if !isDigit(c) {
			return false
		}
		d := int(c - '0')
		if double {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum, double = sum+d, !double
		digits++
	}
	return digits >= 2 && sum%10 == 0
}

// ean accepts 8 or 13 digits with the check digit of GS1: weights 3 and 1 from
// the right.
func ean(b []byte) bool {
	return (len(b) == 8 || len(b) == 13) && gs1(b)
}

func gs1(digits []byte) bool {
	sum, weight := 0, 1
	for i := len(digits) - 1; i >= 0; i-- {
		if !isDigit(digits[i]) {
			return false
		}
		sum += weight * int(digits[i]-'0')
		weight = 4 - weight
	}
	return sum%10 == 0
}

// isbn accepts ISBN-13, which begins with 978 or 979, and ISBN-10, whose check
// digit may be X for 10. Between digits may stand single hyphens, or single
// spaces, at most one for each part.
func isbn(b []byte) bool {
	var digits [13]byte
	n, separators, separator := 0, 0, byte(0)
	for i, c := range b {
		switch {
		case c == '-' || c == ' ':
			if i == 0 || i == len(b)-1 || b[i-1] == c || separator != 0 && separator != c {
				return false
			}
			separator = c
			separators++
		case n == len(digits):
			return false
		case isDigit(c) || c == 'X' && n == 9 && i == len(b)-1:
			digits[n] = c
			n++
		default:
			return false
		}
	}
	switch n {
	case 10:
		return separators <= 3 && isbn10(digits[:10])
	case 13:
		return separators <= 4 && digits[0] == '9' && digits[1] == '7' && digits[2] >= '8' && gs1(digits[:])
	}
	return false
}

// isbn10 checks the weights 10 to 1 modulo 11.
func isbn10(digits []byte) bool {
	sum := 0
	for i, c := range digits {
		d := 10
		if c != 'X' {
			d = int(c - '0')
		}
		sum += (10 - i) * d
	}
	return sum%11 == 0
}

// iban accepts the electronic form, or the printed one in groups of four with
// single spaces. The length is that of its country in the IBAN registry of
// SWIFT, and the number has the remainder 1 modulo 97 (ISO 7064, MOD 97-10).
func iban(b []byte) bool {
	const longest = 34
	var compact [longest]byte
	n := 0
	printed := len(b) > 4 && b[4] == ' '
	for i, c := range b {
		if printed && i%5 == 4 {
			if c != ' ' || i == len(b)-1 {
				return false
			}
			continue
		}
		if n == longest || !isUpper(c) && !isDigit(c) {
			return false
		}
		compact[n] = c
		n++
	}
	if n < 5 || !isUpper(compact[0]) || !isUpper(compact[1]) || !isDigit(compact[2]) || !isDigit(compact[3]) {
		return false
	}
	return n == int(ibanLengths[compact[0]-'A'][compact[1]-'A']) && mod97(compact[:n]) == 1
}

// mod97 is the remainder of an IBAN read as a number: its first four
// characters last, letters as 10 to 35.
func mod97(b []byte) int {
	r := 0
	for i := range b {
		c := b[(i+4)%len(b)]
		if isDigit(c) {
			r = (r*10 + int(c-'0')) % 97
		} else {
			r = (r*100 + int(c-'A') + 10) % 97
		}
	}
	return r
}

// pairs is a table by two capital letters; 0 stands for no entry.
type pairs [26][26]uint8

// ibanLengths is the length of an IBAN by its country, of the registry of
// SWIFT.
var ibanLengths = pairsOf(map[uint8]string{
	15: "NO",
	16: "BE",
	18: "DK FI FK FO GL NL SD",
	19: "MK SI",
	20: "AT BA EE KZ LT LU MN XK",
	21: "CH HR LI LV",
	22: "BG BH CR DE GB GE IE ME RS VA",
	23: "AE GI IL IQ OM SO TL",
	24: "AD CZ ES MD PK RO SA SE SK TN VG",
	25: "LY PT ST",
	26: "IS TR",
	27: "BI DJ FR GR IT MC MR SM",
	28: "AL AZ BY CY DO GT HN HU LB NI PL SV",
	29: "BR EG PS QA UA",
	30: "JO KW MU YE",
	31: "MT SC",
	32: "LC",
	33: "RU",
})

// pairsOf sets a value for each of the codes, which single spaces separate.
func pairsOf(codes map[uint8]string) (t pairs) {
	for value, list := range codes {
		for i := 0; i+1 < len(list); i += 3 {
			t[list[i]-'A'][list[i+1]-'A'] = value
		}
	}
	return t
}
