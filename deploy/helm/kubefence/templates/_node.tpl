{{/* Flags that install and uninstall share. */}}
{{- define "kubefence.nodeFlags" -}}
{{- $setup := .Values.nodeSetup -}}
- --root=/host
- --state-dir={{ $setup.stateDir }}
- --restart={{ $setup.restart }}
{{- with $setup.restartCommand }}
- {{ printf "--restart-command=%s" . | quote }}
{{- end }}
{{- with $setup.runtimeSocket }}
- --runtime-socket={{ . }}
{{- end }}
- --timeout={{ $setup.timeout }}
{{- end }}

{{/* What `install` is told. */}}
{{- define "kubefence.installFlags" -}}
{{- $config := .Values.config -}}
{{- $setup := .Values.nodeSetup -}}
{{- $guarded := include "kubefence.guarded" . | fromJsonArray -}}
{{- include "kubefence.nodeFlags" . }}
- --runtime={{ $setup.runtime }}
{{- with $setup.runtimeConfig }}
- --runtime-config={{ . }}
{{- end }}
{{- range $guarded }}
- --handler={{ . }}
{{- end }}
- --default-profile={{ $config.defaultProfile }}
{{- range get $config.allowedProfiles (first $guarded) | default list }}
- --allowed-profile={{ . }}
{{- end }}
{{- with $config.seccompProfile }}
- --seccomp-profile={{ . }}
{{- end }}
- --on-unwrapped={{ $setup.onUnwrapped }}
- --nono-dir={{ dir $config.nonoBinPath }}
- --bin-dir={{ $setup.binDir }}
{{- end }}

{{/* A container that changes the host: the only kind that is privileged. */}}
{{- define "kubefence.hostContainer" -}}
image: {{ include "kubefence.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
command: [/usr/bin/kubefence]
securityContext:
  privileged: true
  readOnlyRootFilesystem: true
  runAsUser: 0
  runAsGroup: 0
resources:
  {{- toYaml .Values.nodeSetup.resources | nindent 2 }}
terminationMessagePolicy: FallbackToLogsOnError
volumeMounts:
  - name: host
    mountPath: /host
{{- end }}

{{/*
A DaemonSet whose pods are ready once `kubefence node uninstall` has succeeded. With `.dryRun` it only looks whether it could.
*/}}
{{- define "kubefence.uninstallDaemonSet" -}}
{{- $name := .dryRun | ternary "nono-nri-uninstall-check" "nono-nri-uninstall" -}}
{{- with .context -}}
apiVersion: apps/v1
kind: DaemonSet
metadata:
  name: {{ $name }}
  namespace: {{ .Values.namespace }}
  labels:
    {{- include "kubefence.labels" . | nindent 4 }}
    app: {{ $name }}
spec:
  selector:
    matchLabels:
      app: {{ $name }}
  template:
    metadata:
      labels:
        {{- include "kubefence.labels" . | nindent 8 }}
        app: {{ $name }}
    spec:
      {{- include "kubefence.placement" . | nindent 6 }}
      automountServiceAccountToken: false
      enableServiceLinks: false
      # The network may have gone before the node is tidied up.
      hostNetwork: true
      dnsPolicy: Default
      terminationGracePeriodSeconds: 5
      initContainers:
        - name: uninstall
          {{- include "kubefence.hostContainer" . | nindent 10 }}
          args:
            - node
            - uninstall
            {{- include "kubefence.nodeFlags" . | nindent 12 }}
            {{- if $.dryRun }}
            - --dry-run
            {{- end }}
      containers:
        - name: done
          image: {{ include "kubefence.image" . }}
          imagePullPolicy: {{ .Values.image.pullPolicy }}
          command: [/usr/bin/kubefence]
          args: [node, idle]
          securityContext:
            {{- include "kubefence.unprivileged" . | nindent 12 }}
            runAsNonRoot: true
            runAsUser: 65532
            runAsGroup: 65532
          resources:
            {{- toYaml .Values.nodeSetup.resources | nindent 12 }}
          terminationMessagePolicy: FallbackToLogsOnError
      volumes:
        - name: host
          hostPath:
            path: /
            type: Directory
{{- end }}
{{- end }}
