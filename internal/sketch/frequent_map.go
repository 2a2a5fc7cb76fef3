package sketch

// Map returns the summary of what the values become under another identity:
// key gives the new hash and text of a value, false leaves it out. Values that
// become one add up. The error stays; f is unchanged.
func (f *Frequent) Map(key func(text []byte) (hash uint64, as []byte, ok bool)) *Frequent {
	out := NewFrequent()
	for i := range f.counters {
		c := &f.counters[i]
		if hash, text, ok := key(c.text); ok {
			out.Add(hash, text, c.count)
		}
	}
	out.purged += f.purged
	return out
}
