/*-------------------------------------------------------------------------
 *
 * kubernetes_answer.h
 *	  What the answers of the API server mean.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_KUBERNETES_ANSWER_H
#define DU_KUBERNETES_ANSWER_H

#include "kubernetes_api.h"

extern KubeVerdict du_kube_judge(const KubernetesApi *api, KubeRequest what,
								 const HttpAnswer *answer);

#endif							/* DU_KUBERNETES_ANSWER_H */
