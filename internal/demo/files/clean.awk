BEGIN { FS = OFS = "," }
NR == 1 { print; next }
$5 == "cancelled" { next }
{ $3 = tolower($3); print }
