--
-- Admission
--

CREATE FUNCTION validate_spec(new jsonb, old jsonb DEFAULT NULL)
    RETURNS TABLE (field text, type text, bad_value jsonb, detail text)
    LANGUAGE C IMMUTABLE PARALLEL SAFE ROWS 1
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_validate_spec';
COMMENT ON FUNCTION validate_spec(jsonb, jsonb) IS
'what is wrong with a custom resource that is created (old null) or changed, one row each, no row when it is valid; '
	'both arguments are whole resources, of any release of the operator. field is the path, '
	'type a field error of Kubernetes: Invalid, TypeInvalid, Forbidden, Required, TooLong. Never raises';

CREATE PROCEDURE run_validate_spec(new jsonb, old jsonb DEFAULT NULL, INOUT errors jsonb DEFAULT NULL)
    LANGUAGE C
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_run_validate_spec';
COMMENT ON PROCEDURE run_validate_spec(jsonb, jsonb, jsonb) IS
'like validate_spec, for roles that a planner hook keeps out of SELECT: CALL enters no planner. '
	'errors is an array of objects with field, type, bad_value and detail, empty when the resource is valid; '
	'what is passed in is ignored';

CREATE FUNCTION admission_review(review jsonb) RETURNS jsonb
    LANGUAGE C IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_admission_review';
COMMENT ON FUNCTION admission_review(jsonb) IS
'answers an AdmissionReview of admission.k8s.io/v1 with a complete one, by the rules of validate_spec; '
	'what is no review is denied with the reason. Never raises';

CREATE PROCEDURE run_admission_review(review jsonb, INOUT response jsonb DEFAULT NULL)
    LANGUAGE C
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_run_admission_review';
COMMENT ON PROCEDURE run_admission_review(jsonb, jsonb) IS
'like admission_review, for roles that a planner hook keeps out of SELECT: CALL enters no planner. '
	'What is passed as response is ignored';

CREATE FUNCTION convert_resource(resource jsonb, to_version text) RETURNS jsonb
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_convert_resource';
COMMENT ON FUNCTION convert_resource(jsonb, text) IS
'a custom resource as one of another version: documentdb.io/preview, documentdb.io/preview-flat, '
	'db.microsoft.com/preview or db.microsoft.com/v1. What that version has no field for is kept in the annotation '
	'documentdb-upgrade/conversion, so that the way back gives the same resource. Raises 22023 for another version or '
	'kind';

CREATE PROCEDURE run_convert_resource(resource jsonb, to_version text, INOUT converted jsonb DEFAULT NULL)
    LANGUAGE C
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_run_convert_resource';
COMMENT ON PROCEDURE run_convert_resource(jsonb, text, jsonb) IS
'like convert_resource, for roles that a planner hook keeps out of SELECT: CALL enters no planner. '
	'What is passed as converted is ignored';

CREATE FUNCTION conversion_review(review jsonb) RETURNS jsonb
    LANGUAGE C IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_conversion_review';
COMMENT ON FUNCTION conversion_review(jsonb) IS
'answers a ConversionReview of apiextensions.k8s.io/v1 with a complete one: every object converted as by '
	'convert_resource, in the same order, or result.status Failure with the reason. Never raises';

CREATE PROCEDURE run_conversion_review(review jsonb, INOUT response jsonb DEFAULT NULL)
    LANGUAGE C
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_run_conversion_review';
COMMENT ON PROCEDURE run_conversion_review(jsonb, jsonb) IS
'like conversion_review, for roles that a planner hook keeps out of SELECT: CALL enters no planner. '
	'What is passed as response is ignored';
