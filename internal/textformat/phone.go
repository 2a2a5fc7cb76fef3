package textformat

// Lengths of a number by E.164, the country code included. The standard sets
// the longest; no country has a plan with fewer than 7 digits.
const (
	minPhone = 7
	maxPhone = 15
)

// phone accepts an international number of E.164: a plus sign, an assigned
// country code and the rest, in digits without separators.
func phone(b []byte) bool {
	if len(b) < 1+minPhone || len(b) > 1+maxPhone || b[0] != '+' || !all(b[1:], isDigit) {
		return false
	}
	zone, area := int(b[1]-'0'), int(b[2]-'0')
	code := zone*100 + area*10 + int(b[3]-'0')
	return zone == 1 || zone == 7 || shortCodes[zone]&(1<<area) != 0 || longCodes[code>>3]&(1<<(code&7)) != 0
}

// shortCodes are the country codes of two digits: a bit of the second by the
// first. 1 and 7 have one digit.
var shortCodes = [10]uint16{
	2: bitsOf(0, 7),
	3: bitsOf(0, 1, 2, 3, 4, 6, 9),
	4: bitsOf(0, 1, 3, 4, 5, 6, 7, 8, 9),
	5: bitsOf(1, 2, 3, 4, 5, 6, 7, 8),
	6: bitsOf(0, 1, 2, 3, 4, 5, 6),
	8: bitsOf(1, 2, 4, 6),
	9: bitsOf(0, 1, 2, 3, 4, 5, 8),
}

func bitsOf(digits ...uint) (set uint16) {
	for _, d := range digits {
		set |= 1 << d
	}
	return set
}

// longCodes are the country codes of three digits, one bit each, of ITU-T's
// list of assigned codes.
var longCodes = codeSet([]int{
	211, 212, 213, 216, 218,
	220, 221, 222, 223, 224, 225, 226, 227, 228, 229,
	230, 231, 232, 233, 234, 235, 236, 237, 238, 239,
	240, 241, 242, 243, 244, 245, 246, 247, 248, 249,
	250, 251, 252, 253, 254, 255, 256, 257, 258,
	260, 261, 262, 263, 264, 265, 266, 267, 268, 269,
	290, 291, 297, 298, 299,
	350, 351, 352, 353, 354, 355, 356, 357, 358, 359,
	370, 371, 372, 373, 374, 375, 376, 377, 378, 379,
	380, 381, 382, 383, 385, 386, 387, 389,
	420, 421, 423,
	500, 501, 502, 503, 504, 505, 506, 507, 508, 509,
	590, 591, 592, 593, 594, 595, 596, 597, 598, 599,
	670, 672, 673, 674, 675, 676, 677, 678, 679,
	680, 681, 682, 683, 685, 686, 687, 688, 689,
	690, 691, 692,
	800, 808,
	850, 852, 853, 855, 856,
	870, 878, 880, 881, 882, 883, 886, 888,
	960, 961, 962, 963, 964, 965, 966, 967, 968,
	970, 971, 972, 973, 974, 975, 976, 977, 979,
	992, 993, 994, 995, 996, 998,
})

func codeSet(codes []int) (set [125]uint8) {
	for _, c := range codes {
		set[c>>3] |= 1 << (c & 7)
	}
	return set
}
