/*-------------------------------------------------------------------------
 *
 * kube_answer.h
 *	  What the answers of the API server mean.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_KUBE_ANSWER_H
#define DU_KUBE_ANSWER_H

#include "worker/kubernetes/kube_api.h"

extern KubeVerdict du_kube_judge(const KubernetesApi *api, KubeRequest what,
								 const HttpAnswer *answer);

#endif							/* DU_KUBE_ANSWER_H */
