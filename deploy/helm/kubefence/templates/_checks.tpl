{{/* What a schema cannot say. Rendered with the DaemonSet, so that nothing is installed if a check fails. */}}
{{- define "kubefence.checks" -}}
{{- include "kubefence.checkClasses" . -}}
{{- include "kubefence.checkProfiles" . -}}
{{- include "kubefence.checkGuard" . -}}
{{- include "kubefence.checkNodeSetup" . -}}
{{- include "kubefence.checkLabels" . -}}
{{- end }}

{{- define "kubefence.checkClasses" -}}
{{- $handlers := .Values.config.runtimeClasses -}}
{{- $names := dict -}}
{{- $guards := dict -}}
{{- range $key, $class := include "kubefence.classes" . | fromYaml -}}
{{- if not (has $class.handler $handlers) -}}
{{- fail (printf "runtimeClasses.%s.handler: %q is not in config.runtimeClasses (%s), so its pods would run without a sandbox: add it there, or set runtimeClasses.%s to null" $key $class.handler (join ", " $handlers) $key) -}}
{{- end -}}
{{- if hasKey $names $class.name -}}
{{- fail (printf "runtimeClasses.%s and runtimeClasses.%s are both the RuntimeClass %q: give one another name" (get $names $class.name) $key $class.name) -}}
{{- end -}}
{{- $_ := set $names $class.name $key -}}
{{- $guard := $class.guard | default false -}}
{{- if and (hasKey $guards $class.handler) (ne (get $guards $class.handler) $guard) -}}
{{- fail (printf "runtimeClasses.%s.guard: %t contradicts another entry with handler %q, which has the guard or has it not: make them equal" $key $guard $class.handler) -}}
{{- end -}}
{{- $_ := set $guards $class.handler $guard -}}
{{- end -}}
{{- end }}

{{- define "kubefence.checkProfiles" -}}
{{- $config := .Values.config -}}
{{- range $handler, $profiles := $config.allowedProfiles -}}
{{- if not (has $handler $config.runtimeClasses) -}}
{{- fail (printf "config.allowedProfiles.%s: there is no such handler in config.runtimeClasses (%s)" $handler (join ", " $config.runtimeClasses)) -}}
{{- end -}}
{{- if not (has $config.defaultProfile $profiles) -}}
{{- fail (printf "config.defaultProfile: %q must be listed in config.allowedProfiles.%s, too (%s)" $config.defaultProfile $handler (join ", " $profiles)) -}}
{{- end -}}
{{- end -}}
{{- if hasKey (.Values.profiles | default dict) $config.defaultProfile -}}
{{- range $handler := $config.runtimeClasses -}}
{{- if not (hasKey $config.allowedProfiles $handler) -}}
{{- fail (printf "config.defaultProfile: %q is one of your own profiles, so it must be listed in config.allowedProfiles.%s" $config.defaultProfile $handler) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if eq $config.launcher "upstream" -}}
{{- if or .Values.profiles $config.seccompProfile -}}
{{- fail "config.launcher: \"upstream\" finds profiles by itself and gets no filter: leave profiles and config.seccompProfile empty" -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* One guard, with one configuration, serves all handlers of a node. */}}
{{- define "kubefence.checkGuard" -}}
{{- $guarded := include "kubefence.guarded" . | fromJsonArray -}}
{{- $lists := .Values.config.allowedProfiles -}}
{{- range $handler := $guarded -}}
{{- $first := first $guarded -}}
{{- $here := get $lists $handler | default list | sortAlpha | join ", " -}}
{{- $there := get $lists $first | default list | sortAlpha | join ", " -}}
{{- if ne $here $there -}}
{{- fail (printf "config.allowedProfiles: handlers %q (%s) and %q (%s) share one guard, which has one list: allow the same profiles for both" $first ($there | default "no list") $handler ($here | default "no list")) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "kubefence.checkNodeSetup" -}}
{{- $setup := .Values.nodeSetup -}}
{{- if $setup.enabled -}}
{{- if not (include "kubefence.guarded" . | fromJsonArray) -}}
{{- fail "nodeSetup.enabled: there is no handler to register: give an entry of runtimeClasses guard: true, or set nodeSetup.enabled to false" -}}
{{- end -}}
{{- if eq .Values.config.launcher "upstream" -}}
{{- fail "config.launcher: nodeSetup installs kubefence's own launcher: set nodeSetup.enabled to false for \"upstream\"" -}}
{{- end -}}
{{- if ne (base .Values.config.nonoBinPath) "nono" -}}
{{- fail (printf "config.nonoBinPath: %q must end in /nono, which is what nodeSetup installs" .Values.config.nonoBinPath) -}}
{{- end -}}
{{- if and (eq $setup.restart "command") (not $setup.restartCommand) -}}
{{- fail "nodeSetup.restartCommand: must be set for nodeSetup.restart: command" -}}
{{- end -}}
{{- if and (ne $setup.restart "command") $setup.restartCommand -}}
{{- fail (printf "nodeSetup.restartCommand: is not used with nodeSetup.restart: %s: set that to command" $setup.restart) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Keys that the chart sets itself. */}}
{{- define "kubefence.checkLabels" -}}
{{- $labels := include "kubefence.labels" . | fromYaml | keys -}}
{{- $podLabels := include "kubefence.podLabels" . | fromYaml | keys -}}
{{- $annotations := list "checksum/config" "kubectl.kubernetes.io/default-container" -}}
{{- range $place, $set := dict "podLabels" (list .Values.podLabels $podLabels) "podAnnotations" (list .Values.podAnnotations $annotations) "podMonitor.labels" (list .Values.podMonitor.labels $labels) -}}
{{- range $key, $value := first $set -}}
{{- if has $key (last $set) -}}
{{- fail (printf "%s: %q is set by the chart: leave it out" $place $key) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}
