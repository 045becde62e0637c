{{/* The entries of runtimeClasses that are not left out, as YAML. */}}
{{- define "kubefence.classes" -}}
{{- $classes := dict -}}
{{- range $key, $class := .Values.runtimeClasses -}}
{{- if $class -}}
{{- $_ := set $classes $key (merge (dict "name" ($class.name | default $key)) $class) -}}
{{- end -}}
{{- end -}}
{{- toYaml $classes -}}
{{- end }}

{{/* The handlers with the guard, as a JSON list. */}}
{{- define "kubefence.guarded" -}}
{{- $handlers := list -}}
{{- range $class := include "kubefence.classes" . | fromYaml -}}
{{- if $class.guard -}}
{{- $handlers = append $handlers $class.handler -}}
{{- end -}}
{{- end -}}
{{- $handlers | uniq | sortAlpha | toJson -}}
{{- end }}

{{/* Where the plugin finds the operator's own profiles. */}}
{{- define "kubefence.profileDir" -}}
/etc/kubefence/profiles
{{- end }}

{{/* The directory of the NRI socket on the host. */}}
{{- define "kubefence.socketDir" -}}
{{ .Values.config.socketPath | default "/var/run/nri/nri.sock" | dir }}
{{- end }}

{{/* Address and port of the plugin's endpoints. */}}
{{- define "kubefence.metricsAddr" -}}
{{- $address := .Values.config.metricsAddress -}}
{{ contains ":" $address | ternary (printf "[%s]" $address) $address }}:{{ .Values.config.metricsPort }}
{{- end }}

{{/* 10-nono-nri.toml. JSON's strings and lists are TOML's, too. */}}
{{- define "kubefence.pluginConfig" -}}
{{- $config := .Values.config -}}
runtime_classes = {{ toJson $config.runtimeClasses }}
default_profile = {{ toJson $config.defaultProfile }}
profile_dir = {{ eq $config.launcher "upstream" | ternary "" (include "kubefence.profileDir" .) | toJson }}
seccomp_profile = {{ toJson $config.seccompProfile }}
nono_bin_path = {{ toJson $config.nonoBinPath }}
launcher = {{ toJson $config.launcher }}
socket_path = {{ toJson $config.socketPath }}
state_dir = {{ toJson $config.stateDir }}
guarded_classes = {{ include "kubefence.guarded" . }}
{{- if $config.allowedProfiles }}

[allowed_profiles]
{{- range $handler, $profiles := $config.allowedProfiles }}
{{ toJson $handler }} = {{ toJson $profiles }}
{{- end }}
{{- end }}
{{- end }}

{{/* The file name of a profile: TOML cannot begin with a brace or a slash, JSON with nothing else. */}}
{{- define "kubefence.profileFile" -}}
{{- .name }}.{{ regexMatch "^\\s*[{/]" .text | ternary "json" "toml" -}}
{{- end }}
