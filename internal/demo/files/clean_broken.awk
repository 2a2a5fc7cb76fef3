# A new version with a mistake: it keeps the orders of two countries only.
BEGIN { FS = OFS = "," }
NR == 1 { print; next }
$5 == "cancelled" { next }
$4 != "DE" && $4 != "FR" { next }
{ $3 = tolower($3); print }
