#!/bin/sh
# Creates the namespace `relais` where it is missing. The search attributes are registered by the worker when it starts.
# Retention: closed workflows stay visible for 30 days; the system of record is Relais's database, which keeps everything.
set -eu
temporal operator namespace describe --namespace relais >/dev/null 2>&1 ||
  temporal operator namespace create --namespace relais --retention 720h
