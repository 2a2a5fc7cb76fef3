package web

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
)

//go:embed assets templates
var files embed.FS

// assets are the files beside the pages. Their names hold a hash of their
// content, so they never change under one name.
type assets struct {
	names   map[string]string // style.css -> style-0123456789ab.css
	content map[string][]byte // by the name with the hash
}

func loadAssets() (*assets, error) {
	a := &assets{names: map[string]string{}, content: map[string][]byte{}}
	entries, err := fs.ReadDir(files, "assets")
	if err != nil {
		return nil, fmt.Errorf("read assets: %w", err)
	}
	for _, e := range entries {
		data, err := files.ReadFile("assets/" + e.Name())
		if err != nil {
			return nil, fmt.Errorf("read asset: %w", err)
		}
		sum := sha256.Sum256(data)
		ext := path.Ext(e.Name())
		name := strings.TrimSuffix(e.Name(), ext) + "-" + hex.EncodeToString(sum[:6]) + ext
		a.names[e.Name()], a.content[name] = name, data
	}
	return a, nil
}

// url returns the address of an asset by its plain name.
func (a *assets) url(name string) (string, error) {
	hashed, ok := a.names[name]
	if !ok {
		return "", fmt.Errorf("no asset %s", name)
	}
	return "/assets/" + hashed, nil
}

func (p *Pages) asset(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("file")
	data, ok := p.assets.content[name]
	if !ok {
		return notFound("There is no file at this address.")
	}
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	w.Header().Set("Content-Type", mime.TypeByExtension(path.Ext(name)))
	w.Header().Set("Content-Length", fmt.Sprint(len(data)))
	_, _ = w.Write(data)
	return nil
}

// parsePages reads the templates: one set for every page, each with the layout
// and the shared parts.
func parsePages(a *assets) (map[string]*template.Template, error) {
	base := template.New("").Funcs(template.FuncMap{"asset": a.url})
	base, err := base.ParseFS(files, "templates/layout.html", "templates/parts.html")
	if err != nil {
		return nil, fmt.Errorf("read templates: %w", err)
	}
	pages := map[string]*template.Template{}
	for _, name := range []string{"datasets", "dataset", "batch", "error"} {
		t, err := base.Clone()
		if err == nil {
			t, err = t.ParseFS(files, "templates/"+name+".html")
		}
		if err != nil {
			return nil, fmt.Errorf("read templates: %w", err)
		}
		pages[name] = t
	}
	return pages, nil
}
