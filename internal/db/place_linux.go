package db

import "syscall"

// Magic numbers of statfs(2) for file systems over a network.
const (
	nfsMagic  = 0x6969
	smbMagic  = 0x517b
	cifsMagic = 0xff534d42
	smb2Magic = 0xfe534d42
)

// onNetworkFS reports whether a folder is on a network file system. A folder
// that cannot be examined counts as local: opening it will tell.
func onNetworkFS(dir string) bool {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return false
	}
	return isNetworkMagic(uint32(st.Type))
}

func isNetworkMagic(magic uint32) bool {
	switch magic {
	case nfsMagic, smbMagic, cifsMagic, smb2Magic:
		return true
	}
	return false
}
