BEGIN {
  FS = OFS = ","
  while ((getline line < "rates.csv") > 0) { split(line, f, ","); rate[f[1]] = f[2] }
}
NR == 1 { print $0, "amount_eur"; next }
{ print $0, sprintf("%.2f", $7 * rate[$8]) }
