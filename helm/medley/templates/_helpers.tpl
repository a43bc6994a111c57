{{- define "medley.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "medley.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains (include "medley.name" .) .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "medley.name" .) | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "medley.selectorLabels" -}}
app.kubernetes.io/name: {{ include "medley.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end }}

{{/* managed-by is never "medley" here: that value marks the objects which the operator makes and may delete. */}}
{{- define "medley.labels" -}}
{{ include "medley.selectorLabels" . }}
{{ include "medley.chartLabels" . }}
{{- end }}

{{/* Labels beside those that select. The chart's own go before commonLabels: what is selected by must not change. */}}
{{- define "medley.chartLabels" -}}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- $own := list "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/component" }}
{{- $own = concat $own (list "app.kubernetes.io/version" "app.kubernetes.io/managed-by" "helm.sh/chart") }}
{{- range $name, $value := .Values.commonLabels }}
{{- if has $name $own }}
{{- fail (printf "commonLabels must not hold %s, which the chart sets itself" $name) }}
{{- end }}
{{ $name }}: {{ $value | quote }}
{{- end }}
{{- end }}

{{- define "medley.agentSelectorLabels" -}}
app.kubernetes.io/name: {{ include "medley.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: agent
{{- end }}

{{- define "medley.agentLabels" -}}
{{ include "medley.agentSelectorLabels" . }}
{{ include "medley.chartLabels" . }}
{{- end }}

{{- define "medley.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "medley.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- required "serviceAccount.name is needed with serviceAccount.create: false" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "medley.image" -}}
{{- $way := "build one (make image IMAGE=registry.example.com/medley-operator:TAG), push it, and install with" }}
{{- $why := printf "image.repository is needed: the project publishes no image; %s --set image.repository=registry.example.com/medley-operator" $way }}
{{- $repository := required $why .Values.image.repository }}
{{- if .Values.image.digest }}
{{- printf "%s@%s" $repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" $repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{/* Files of the login at Prometheus; empty where there is none. */}}
{{- define "medley.prometheusTokenFile" -}}
{{- with .Values.prometheus.bearerToken -}}
{{- if .file }}{{ .file }}{{ else if .secretName }}/var/run/medley/prometheus-token/{{ .key }}{{ end -}}
{{- end -}}
{{- end }}

{{- define "medley.prometheusPasswordFile" -}}
{{- with .Values.prometheus.basicAuth -}}
{{- if .username }}/var/run/medley/prometheus-password/{{ .key }}{{ end -}}
{{- end -}}
{{- end }}

{{- define "medley.prometheusCaFile" -}}
{{- with .Values.prometheus.ca -}}
{{- if or .configMapName .secretName }}/var/run/medley/prometheus-ca/{{ .key }}{{ end -}}
{{- end -}}
{{- end }}

{{- define "medley.powerName" -}}
{{- printf "%s-power" (include "medley.fullname" . | trunc 57 | trimSuffix "-") }}
{{- end }}

{{- define "medley.powerSelectorLabels" -}}
app.kubernetes.io/name: {{ include "medley.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: power-controller
{{- end }}

{{- define "medley.powerLabels" -}}
{{ include "medley.powerSelectorLabels" . }}
{{ include "medley.chartLabels" . }}
{{- end }}

{{/* Arguments, mounts and volumes of the login at Prometheus, for each program that reads there. */}}
{{- define "medley.prometheusArguments" -}}
{{- with .Values.prometheus.url }}
- --prometheus-url={{ . }}
{{- end }}
{{- with include "medley.prometheusTokenFile" . }}
- --prometheus-bearer-token-file={{ . }}
{{- end }}
{{- with .Values.prometheus.basicAuth.username }}
- --prometheus-username={{ . }}
{{- end }}
{{- with include "medley.prometheusPasswordFile" . }}
- --prometheus-password-file={{ . }}
{{- end }}
{{- with include "medley.prometheusCaFile" . }}
- --prometheus-ca-file={{ . }}
{{- end }}
{{- with .Values.prometheus.tenant }}
- --prometheus-tenant={{ . }}
{{- end }}
{{- end }}

{{- define "medley.prometheusMounts" -}}
{{- with .Values.prometheus }}
{{- if and .bearerToken.secretName (not .bearerToken.file) }}
- name: prometheus-token
  mountPath: /var/run/medley/prometheus-token
  readOnly: true
{{- end }}
{{- if .basicAuth.username }}
- name: prometheus-password
  mountPath: /var/run/medley/prometheus-password
  readOnly: true
{{- end }}
{{- if or .ca.configMapName .ca.secretName }}
- name: prometheus-ca
  mountPath: /var/run/medley/prometheus-ca
  readOnly: true
{{- end }}
{{- end }}
{{- end }}

{{- define "medley.prometheusVolumes" -}}
{{- with .Values.prometheus }}
{{- if and .bearerToken.secretName (not .bearerToken.file) }}
- name: prometheus-token
  secret:
    secretName: {{ .bearerToken.secretName }}
{{- end }}
{{- if .basicAuth.username }}
- name: prometheus-password
  secret:
    secretName: {{ required "prometheus.basicAuth.secretName is needed with a username" .basicAuth.secretName }}
{{- end }}
{{- if .ca.configMapName }}
- name: prometheus-ca
  configMap:
    name: {{ .ca.configMapName }}
{{- else if .ca.secretName }}
- name: prometheus-ca
  secret:
    secretName: {{ .ca.secretName }}
{{- end }}
{{- end }}
{{- end }}

{{/* A NetworkPolicy's rules, for each program of the chart that serves /metrics. */}}
{{- define "medley.networkRules" -}}
policyTypes: [Ingress{{ if .Values.networkPolicy.egress.enabled }}, Egress{{ end }}]
{{- with .Values.networkPolicy.from }}
ingress:
  - from:
      {{- toYaml . | nindent 6 }}
    ports:
      - port: http
{{- else }}
ingress: []
{{- end }}
{{- with .Values.networkPolicy.egress }}
{{- if .enabled }}
egress:
  - ports:
      - {port: 53, protocol: UDP}
      - {port: 53, protocol: TCP}
  - ports:
      {{- range .apiServerPorts }}
      - port: {{ . }}
      {{- end }}
    {{- with .apiServerCidrs }}
    to:
      {{- range . }}
      - ipBlock:
          cidr: {{ . }}
      {{- end }}
    {{- end }}
  {{- if $.Values.prometheus.url }}
  {{- $url := urlParse $.Values.prometheus.url }}
  {{- $port := ternary 443 80 (eq $url.scheme "https") }}
  {{- with regexFind ":[0-9]+$" $url.host }}
  {{- $port = trimPrefix ":" . }}
  {{- end }}
  - ports:
      - port: {{ default $port .prometheusPort }}
    {{- with .prometheus }}
    to:
      {{- toYaml . | nindent 6 }}
    {{- end }}
  {{- end }}
  {{- with .extra }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
{{- end }}
{{- end }}
