#!/usr/bin/env bash
# Brings the agent to Cloud Run: builds the image, puts the secrets into Secret Manager, applies the Terraform beside it.
# Run it again to update; what is there already is kept, a changed secret becomes a new version.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: deploy.sh --gcp-project ID [OPTIONS]

  --gcp-project ID       the Google Cloud project (needed)
  --service-url URL      a service whose /ops pages the agent may read, as URL or NAME=URL; as often as you like.
                         Becomes SERVICE_REGISTRY
  --env-file FILE        the settings, as in .env.example (default: .env of the checkout)
  --region REGION        default: europe-west1
  --image IMAGE          one that is built already; else the checkout is built by Cloud Build
  --cloud-sql INSTANCE   PROJECT:REGION:INSTANCE, when DATABASE_URL names /cloudsql/…
  --dry-run              print every command, run none
  --help                 this

OPS_AUTH_TOKEN is made when the file has none and Secret Manager neither.
TEXT
}

stop() {
  printf 'deploy.sh: %s\n' "$1" >&2
  exit "${2:-1}"
}

((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 404)) || stop "bash 4.4 or newer is needed; macOS has it from Homebrew."

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../../.." && pwd)
project='' region=europe-west1 image='' cloud_sql='' env_file=$root/.env dry_run=''
registry=()

while (($#)); do
  case $1 in
    --gcp-project | --service-url | --env-file | --region | --image | --cloud-sql)
      (($# > 1)) || stop "$1 needs a value." 2
      case $1 in
        --gcp-project) project=$2 ;;
        --service-url) registry+=("$2") ;;
        --env-file) env_file=$2 ;;
        --region) region=$2 ;;
        --image) image=$2 ;;
        --cloud-sql) cloud_sql=$2 ;;
      esac
      shift 2
      ;;
    --dry-run) dry_run=yes && shift ;;
    --help | -h) usage && exit 0 ;;
    *) usage >&2 && stop "there is no option $1." 2 ;;
  esac
done

[[ -n $project ]] || stop "--gcp-project is needed." 2
[[ $project =~ ^[a-z][a-z0-9-]{4,28}[a-z0-9]$ ]] || stop "$project is no id of a project." 2
[[ -f $env_file ]] || stop "there is no $env_file; copy .env.example and fill it in, or name one with --env-file." 2

# A value never stands in an argument, where every user of the machine could read it, and so never in what is printed.
run() {
  if [[ -n $dry_run ]]; then
    printf '+ %s\n' "${*@Q}"
  else
    "$@"
  fi
}

# True in a dry run, which asks nobody: everything is then shown as if it had to be made.
missing() {
  [[ -n $dry_run ]] || ! "$@" >/dev/null 2>&1
}

is_secret() {
  case $1 in
    MCP_SERVERS) return 1 ;;
    DATABASE_URL | MCP_* | *_TOKEN | *_SECRET | *_PASSWORD | *_KEY | *_HEADERS) return 0 ;;
    *) return 1 ;;
  esac
}

json() {
  local text=${1//\\/\\\\}
  printf '"%s"' "${text//\"/\\\"}"
}

store() {
  local secret=sre-agent-$1
  if missing gcloud secrets describe "$secret" --project "$project"; then
    run gcloud secrets create "$secret" --project "$project" --replication-policy automatic
  elif [[ $(gcloud secrets versions access latest --secret "$secret" --project "$project") == "$2" ]]; then
    return
  fi
  run gcloud secrets versions add "$secret" --project "$project" --data-file=- < <(printf '%s' "$2")
}

declare -A settings=() secrets=()
while IFS= read -r line || [[ -n $line ]]; do
  [[ $line =~ ^[[:space:]]*(export[[:space:]]+)?([A-Z][A-Z0-9_]*)=(.*)$ ]] || continue
  name=${BASH_REMATCH[2]} value=${BASH_REMATCH[3]}
  if [[ $value =~ ^\"(.*)\"[[:space:]]*$ || $value =~ ^\'(.*)\'[[:space:]]*$ ]]; then
    value=${BASH_REMATCH[1]}
  else
    value=${value%%[[:space:]]#*}
    value=${value%"${value##*[![:space:]]}"}
  fi
  [[ -n $value ]] || continue
  case $name in
    PORT | OPS_PORT | POSTGRES_PASSWORD) ;; # given by Cloud Run; of docker compose alone
    *_PATH | *_FILE | SRE_AGENT_HOME | PG_BIN | MCP_SERVERS)
      printf 'deploy.sh: %s names a place on this machine and is left out.\n' "$name" >&2
      ;;
    *) if is_secret "$name"; then secrets[$name]=$value; else settings[$name]=$value; fi ;;
  esac
done <"$env_file"

for needed in SLACK_BOT_TOKEN DATABASE_URL; do
  [[ -n ${secrets[$needed]:-} ]] || stop "$needed is not in $env_file, and the agent does not start without it." 2
done

for entry in "${registry[@]}"; do
  if [[ $entry =~ ^([a-z0-9-]+)=(https?://.+)$ ]]; then
    service=${BASH_REMATCH[1]} url=${BASH_REMATCH[2]}
  elif [[ $entry =~ ^https?://([A-Za-z0-9-]+) ]]; then
    service=${BASH_REMATCH[1]} url=$entry
  else
    stop "$entry is no address; say https://checkout.example.com or checkout=https://…." 2
  fi
  settings[SERVICE_REGISTRY]=${settings[SERVICE_REGISTRY]:+${settings[SERVICE_REGISTRY]},}$service\|$url
done

if [[ -z $dry_run ]]; then
  for program in gcloud terraform openssl; do
    command -v "$program" >/dev/null || stop "$program is needed."
  done
fi

run gcloud services enable run.googleapis.com secretmanager.googleapis.com artifactregistry.googleapis.com \
  cloudbuild.googleapis.com sqladmin.googleapis.com --project "$project"

if [[ -z $image ]]; then
  image=$region-docker.pkg.dev/$project/sre-agent/sre-agent:$(git -C "$root" rev-parse --short=12 HEAD)
  if missing gcloud artifacts repositories describe sre-agent --project "$project" --location "$region"; then
    run gcloud artifacts repositories create sre-agent --project "$project" --location "$region" \
      --repository-format docker
  fi
  run gcloud builds submit "$root" --project "$project" --tag "$image"
fi

if [[ -z ${secrets[OPS_AUTH_TOKEN]:-} ]]; then
  if missing gcloud secrets versions access latest --secret sre-agent-OPS_AUTH_TOKEN --project "$project"; then
    secrets[OPS_AUTH_TOKEN]=$(openssl rand -hex 32)
    echo "deploy.sh: a new OPS_AUTH_TOKEN is put into Secret Manager."
  fi
fi
names=OPS_AUTH_TOKEN
for name in $(printf '%s\n' "${!secrets[@]}" | sort); do
  store "$name" "${secrets[$name]}"
  [[ $name == OPS_AUTH_TOKEN ]] || names+=" $name"
done

list='' map=''
for name in $names; do list+=${list:+,}$(json "$name"); done
for name in $(printf '%s\n' "${!settings[@]}" | sort); do
  map+=${map:+,}$(json "$name"):$(json "${settings[$name]}")
done

run terraform -chdir="$here" init -input=false
run terraform -chdir="$here" apply \
  -var "project=$project" -var "region=$region" -var "image=$image" -var "cloud_sql_instance=$cloud_sql" \
  -var "secrets=[$list]" -var "settings={$map}"

if [[ -z $dry_run ]]; then
  printf 'Webhooks:       %s…\n' "$(terraform -chdir="$here" output -raw webhook_url)"
  printf 'Slack (HTTP):   %s\n' "$(terraform -chdir="$here" output -raw slack_request_url)"
fi
echo "The ops token:  gcloud secrets versions access latest --secret sre-agent-OPS_AUTH_TOKEN --project $project"
