# What ginkgo's report says of spec $name, as one line: passed, failed or missing; seconds; first line of the error,
# or what it was about when time was over.
# A suite that did not start says so in a report of its own kind, and has none of the spec: it failed for that reason.
def line: gsub("^\\s+|\\s+$"; "") | split("\n")[0] | gsub("\t"; " ") | .[0:300];
.[0].SpecReports as $all
| [$all[] | select(.LeafNodeType == "It")
	| select((((.ContainerHierarchyTexts // []) + [.LeafNodeText]) | join(" ") | gsub("^\\s+|\\s+$"; "")) == $name)][0]
	as $spec
| [$all[] | select(.LeafNodeType != "It" and (.State | IN("passed", "skipped") | not))][0] as $suite
| if $suite != null and ($spec == null or $spec.State != "passed") then
	["failed", 0, "\($suite.LeafNodeType): \($suite.Failure.Message // "" | line)"]
  elif $spec == null then ["missing", 0, "e2e.test has no such spec"]
  else [if $spec.State == "passed" then "passed" else "failed" end, $spec.RunTime / 1e9,
	if $spec.State == "passed" then "" elif $spec.State == "failed" then ($spec.Failure.Message // "" | line)
	else "\($spec.State) at: \($spec.Failure.ProgressReport.CurrentStepText // $spec.Failure.Message // "" | line)" end]
  end
| "\(.[0])\t\(.[1] | floor)\t\(.[2])"
