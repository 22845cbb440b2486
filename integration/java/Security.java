import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.List;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ScramCredentialInfo;
import org.apache.kafka.clients.admin.ScramMechanism;
import org.apache.kafka.clients.admin.UserScramCredentialAlteration;
import org.apache.kafka.clients.admin.UserScramCredentialDeletion;
import org.apache.kafka.clients.admin.UserScramCredentialUpsertion;
import org.apache.kafka.common.acl.AccessControlEntry;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclBindingFilter;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;

/** What an administrator does to users: their rights, and their passwords of SCRAM. */
final class Security {
    private final Admin admin;

    Security(Admin admin) {
        this.admin = admin;
    }

    /** Gives a "user" the rights to do "operations" with the "resource" ("TOPIC", "GROUP") "name", or takes them where "give" is false. */
    JsonNode rights(JsonNode command) throws Exception {
        ResourcePattern pattern = new ResourcePattern(ResourceType.valueOf(command.path("resource").asText()),
            command.path("name").asText(), PatternType.LITERAL);
        List<AclBinding> rights = new ArrayList<>();
        for (JsonNode operation : command.path("operations")) {
            rights.add(new AclBinding(pattern, new AccessControlEntry("User:" + command.path("user").asText(), "*",
                AclOperation.valueOf(operation.asText()), AclPermissionType.ALLOW)));
        }
        if (command.path("give").asBoolean()) {
            admin.createAcls(rights).all().get();
        } else {
            List<AclBindingFilter> filters = new ArrayList<>();
            for (AclBinding right : rights) filters.add(right.toFilter());
            admin.deleteAcls(filters).all().get();
        }
        return Tool.ok();
    }

    /** Sets the "password" of a "user" for a "mechanism"; null: there is no such user any more. */
    JsonNode password(JsonNode command) throws Exception {
        String user = command.path("user").asText();
        ScramMechanism mechanism = ScramMechanism.fromMechanismName(command.path("mechanism").asText());
        UserScramCredentialAlteration change = command.hasNonNull("password")
            ? new UserScramCredentialUpsertion(user, new ScramCredentialInfo(mechanism, 4096), command.path("password").asText())
            : new UserScramCredentialDeletion(user, mechanism);
        admin.alterUserScramCredentials(List.of(change)).all().get();
        return Tool.ok();
    }
}
