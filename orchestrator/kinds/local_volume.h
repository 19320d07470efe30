/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * local_volume: what the three who have to do with a node-local volume agree on: the binder makes the object, the
 * node keeps the directory, the API server lets the node say that it is gone.
 *
 *   made with a claim, policy Delete: finalizer -> claim gone -> object marked as deleted -> its node
 *   removes the directory, then the finalizer -> object gone
 *
 * Source: sig-storage-lib-external-provisioner (finalizer, KEP-2644 honor reclaim policy). */
#ifndef ORCHESTRATOR_KINDS_LOCAL_VOLUME_H
#define ORCHESTRATOR_KINDS_LOCAL_VOLUME_H

#define LOCAL_VOLUME_PROVISIONER "keelson.dev/local"
#define LOCAL_VOLUME_PROVISIONED_BY "pv.kubernetes.io/provisioned-by" /* annotation */
#define LOCAL_VOLUME_FINALIZER "keelson.dev/local-data"
#define LOCAL_VOLUME_NODE "kubernetes.io/hostname" /* label: the node that has it */
#define LOCAL_VOLUME_ROOT "/data/volumes"          /* its directory is this and the object's name */

#endif
