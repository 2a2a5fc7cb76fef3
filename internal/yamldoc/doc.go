// Package yamldoc is the only decoder of YAML in this module: a strict view of
// a document in which every value knows its place. Rule files, pipelines and
// the service configuration are read with it by hand-written decoders.
//
// A decoder collects diagnostics in a list and goes on after a mistake, so that
// the user sees all of them at once:
//
//	docs, errs := yamldoc.Parse("rules/orders.yaml", data)
//	for _, doc := range docs {
//		errs.Add(yamldoc.ExpandDocument(doc, "vars", nil, os.LookupEnv)...)
//		m := doc.Root().Mapping(&errs)
//		m.Unknown([]string{"version", "dataset", "max_age"}, "the rule file", &errs)
//		version, _ := m.Required("version", "the rule file", &errs).Int(&errs)
//		dataset, _ := m.Required("dataset", "the rule file", &errs).String(&errs)
//		yamldoc.Set(&maxAge, m.Get("max_age"), (*yamldoc.Node).Duration, &errs)
//	}
//	return errs.Err()
//
// Readers take the list, return a value and whether it is good, and report a
// value of the wrong kind. On a nil node (an absent key) they return false and
// report nothing. Mapping.Fill reads a mapping of a fixed form in one call.
//
// The text of a scalar is never lost: 010 is the text "010", NO and yes are
// texts, only true and false are booleans, and dates without quotes are visible
// as dates. Tags are errors, duplicate keys are errors, aliases and merge keys
// work within limits, and no document of a stream is dropped.
package yamldoc
