// Package expr is the language of conditions over rows: `row:` and `where:`
// of rules, and other places that select rows. It takes a subset of
// expr-lang/expr from that project's parser and evaluates it itself over the
// columns of a chunk, without boxing and without allocations per row. There is
// no clock, no closure, no assignment and no input or output; see
// docs/format/expressions.md for the language.
//
// # Types
//
// A text format cannot know the type of a column before its end, so an
// expression is compiled without types, evaluated for each plausible reading
// of its columns (as texts, or as values of the types that they look like),
// and resolved to one reading when the types are known. The result is as if
// they had been known from the start.
//
//   - A column beside a text (a literal, lower(x), an operator as contains) is
//     taken as the text as written, whatever its type.
//   - A column beside a number, a condition or a time has to be of that type;
//     if its final type is another one the expression is ill-typed.
//   - A column beside a column, or beside a literal that reads as a date or
//     time, is compared by value if both are of one family of types and as
//     text if one is a column of texts.
//   - A value that is not what its place asks for (a text in a column of
//     numbers) makes a condition Wrong, which counts as evaluated and failing.
//
// # Numbers
//
// Integers compute exactly in 64 bits; a result beyond them is a floating
// number. With a floating operand an operation is one of IEEE 754. x / y of
// integers is an integer if it leaves no remainder. Comparisons are exact over
// integers and floats. x / 0 and x % 0 have no value, as null.
package expr
