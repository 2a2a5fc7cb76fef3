package runner

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxFiles is how many files an output may have that is a folder. Each is a unit.
const maxFiles = 10_000

// file is a file of an output that is a folder.
type file struct {
	name   string // below the folder, with slashes
	bytes  int64
	sha256 string
}

// errFolder says that the command left something in its folder that is no output.
var errFolder = errors.New("no output")

// FilesOf lists the files of an output that is a folder, as paths below it, in the
// order in which a folder is read as one batch. As there, names that begin with .
// or _ are left out. The error is of reading, or says what can be no part.
func FilesOf(dir string) (names []string, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		name = filepath.ToSlash(name)
		switch {
		case strings.HasPrefix(d.Name(), "."), strings.HasPrefix(d.Name(), "_"):
			if d.IsDir() {
				return fs.SkipDir
			}
		case !utf8.ValidString(d.Name()):
			return &classified{errFolder, fmt.Errorf("the name of %s in the output is not UTF-8; give it another one", strconv.QuoteToASCII(name))}
		case d.IsDir():
		case !d.Type().IsRegular():
			return &classified{errFolder, fmt.Errorf("%q in the output is not a regular file; write files, not links", name)}
		case len(names) == maxFiles:
			return &classified{errFolder, fmt.Errorf("the output has more than %d files; write fewer, or one file with split: rows(50000)", maxFiles)}
		default:
			names = append(names, name)
		}
		return nil
	})
	if errors.Is(err, fs.ErrPermission) {
		err = &classified{errFolder, fmt.Errorf("the output cannot be read: %w", err)}
	}
	return names, err
}

// listFolder describes the files of an output.
func listFolder(dir string) (files []file, err error) {
	names, err := FilesOf(dir)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		f := file{name: name}
		if f.sha256, f.bytes, err = hashFile(filepath.Join(dir, name)); err != nil {
			if errors.Is(err, fs.ErrPermission) {
				err = &classified{errFolder, fmt.Errorf("the output cannot be read: %w", err)}
			}
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}

// folderSum returns the hash that stands for all files, with their names, and
// their size in bytes.
func folderSum(files []file) (sum string, size int64) {
	h := sha256.New()
	for _, f := range files {
		fmt.Fprintf(h, "%q %d %s\n", f.name, f.bytes, f.sha256)
		size += f.bytes
	}
	return hex.EncodeToString(h.Sum(nil)), size
}

// syncFolder makes what a command wrote into a folder durable: each file and each
// folder in it. The folder itself is left to publish.
func syncFolder(dir string, files []file) error {
	var dirs []string
	for _, f := range files {
		if err := syncFile(filepath.Join(dir, f.name)); err != nil {
			return err
		}
		for up := filepath.Dir(f.name); up != "."; up = filepath.Dir(up) {
			dirs = append(dirs, up)
		}
	}
	slices.Sort(dirs)
	for _, d := range slices.Compact(dirs) {
		if err := syncFile(filepath.Join(dir, d)); err != nil {
			return err
		}
	}
	return nil
}

func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// readFolder takes the files that the command wrote into the folder of its output.
func (v *visit) readFolder(dir string) {
	files, err := listFolder(dir)
	if err == nil {
		err = syncFolder(dir, files)
	}
	switch {
	case errors.Is(err, errFolder):
		v.err = err
	case err != nil:
		v.fatal = fmt.Errorf("store the output of step %q: %w", v.s.Name, err)
	}
	v.files = files
	v.sha, v.bytes = folderSum(files)
}

// partsOfFolder makes each file of the output a part. There may be none.
func (v *visit) partsOfFolder() (err error) {
	if v.files == nil { // the output is one of an earlier attempt
		if v.files, err = listFolder(v.output); err != nil {
			return fmt.Errorf("split the output of step %q: %w", v.s.Name, err)
		}
	}
	v.parts = nil
	for _, f := range v.files {
		v.parts = append(v.parts, part{
			Unit: partUnit(v.r.options.Pipeline.Name, v.lease.Unit, v.s.Split.String(), f.name),
			Path: v.r.relative(filepath.Join(v.output, f.name)), Name: f.name, Bytes: f.bytes, SHA256: f.sha256,
		})
	}
	return nil
}
