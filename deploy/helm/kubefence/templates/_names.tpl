{{/* Labels of every object. */}}
{{- define "kubefence.labels" -}}
app.kubernetes.io/name: kubefence
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name (.Chart.Version | replace "+" "_") }}
{{- end }}

{{/* Labels that find the plugin's pods, and nobody else's. They cannot change once the DaemonSet exists. */}}
{{- define "kubefence.selector" -}}
app: nono-nri
app.kubernetes.io/name: kubefence
{{- end }}

{{/* Labels of the plugin's pods. Without versions of chart and application: a pod is only replaced if it changes. */}}
{{- define "kubefence.podLabels" -}}
{{ include "kubefence.selector" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* The image, by digest if there is one. */}}
{{- define "kubefence.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ $image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{/* Where the plugin's pods run; those that uninstall follow them. */}}
{{- define "kubefence.placement" -}}
priorityClassName: {{ .Values.priorityClassName | quote }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{/* The security context of whatever changes nothing on the host. */}}
{{- define "kubefence.unprivileged" -}}
privileged: false
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end }}
