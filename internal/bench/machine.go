package bench

import (
	"os"
	"runtime"
	"strconv"
	"strings"
)

// thisMachine describes the machine as far as the system tells.
func thisMachine() Machine {
	m := Machine{CPU: "unknown", Cores: runtime.NumCPU(), System: runtime.GOOS + "/" + runtime.GOARCH}
	read := func(path string) string {
		b, err := os.ReadFile(path)
		if err != nil {
			return "" // other systems have none
		}
		return string(b)
	}
	info := read("/proc/cpuinfo")
	if name := procField(info, "model name"); name != "" {
		m.CPU = name
	}
	for _, set := range []string{"avx512bw", "avx2"} {
		if strings.Contains(" "+procField(info, "flags")+" ", " "+set+" ") {
			m.CPU += " (" + set + ")"
			break
		}
	}
	if kib, err := strconv.ParseInt(strings.TrimSuffix(procField(read("/proc/meminfo"), "MemTotal"), " kB"), 10, 64); err == nil {
		m.Memory = kib * 1024
	}
	if release := strings.TrimSpace(read("/proc/sys/kernel/osrelease")); release != "" {
		m.System += " " + release
	}
	return m
}

// procField returns the value of the first line "name : value".
func procField(text, name string) string {
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
