import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import org.elasticsearch.Build;
import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.node.InternalSettingsPreparer;
import org.elasticsearch.node.Node;
import org.elasticsearch.plugins.PluginsLoader;

/**
 * Starts one real Elasticsearch node for the tests, listening on the loopback address only.
 *
 * <p>Arguments: HTTP port, data folder, modules folder, then any number of {@code setting=value}. With
 * {@code --until-stdin-ends} among them it runs until its standard input ends, and then deletes its data
 * folder: whoever holds the other end of that pipe cannot leave the server behind, however it dies.
 */
public final class ServerLauncher {
    public static void main(String[] arguments) throws Exception {
        Path home = Path.of(arguments[1]).toAbsolutePath();
        Path modules = Path.of(arguments[2]).toAbsolutePath();
        Files.createDirectories(home.resolve("config"));

        Settings.Builder settings = Settings.builder();
        settings.put("path.home", home.toString());
        settings.put("path.data", home.resolve("data").toString());
        settings.put("path.logs", home.resolve("logs").toString());
        settings.put("cluster.name", "tailwater-tests");
        settings.put("node.name", "one");
        settings.put("network.host", "127.0.0.1");
        settings.put("http.port", arguments[0]);
        settings.put("transport.port", "0");
        settings.put("discovery.type", "single-node");
        settings.put("node.store.allow_mmap", false);
        settings.put("cluster.max_shards_per_node", 5000);
        // A build machine's disk is often nearly full; the tests write little.
        settings.put("cluster.routing.allocation.disk.threshold_enabled", false);
        boolean untilStdinEnds = false;
        for (int i = 3; i < arguments.length; i++) {
            if (arguments[i].equals("--until-stdin-ends")) {
                untilStdinEnds = true;
                continue;
            }
            int equals = arguments[i].indexOf('=');
            settings.put(arguments[i].substring(0, equals), arguments[i].substring(equals + 1));
        }

        // The node's classes log while they load, so logging is set up before any of them is touched.
        LogConfigurator.configureESLogging();
        var environment = InternalSettingsPreparer.prepareEnvironment(settings.build(), Map.of(), null, () -> "one");
        var bundles = PluginsLoader.loadModulesBundles(modules);
        Node node = new Node(environment, PluginsLoader.createPluginsLoader(bundles, Set.of(), Map.of(), false));
        boolean deletesData = untilStdinEnds;
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                node.close();
            } catch (Exception ignored) {
                // The process ends anyway.
            }
            if (deletesData) {
                delete(home);
            }
        }));
        node.start();
        System.out.println("READY " + Build.current().version() + " http://127.0.0.1:" + arguments[0]);
        if (untilStdinEnds) {
            while (System.in.read() >= 0) {
                // Whatever is written there means nothing.
            }
            System.exit(0);
        }
        new CountDownLatch(1).await();
    }

    private static void delete(Path folder) {
        try (var paths = Files.walk(folder)) {
            for (Path path : paths.sorted(Comparator.reverseOrder()).toList()) {
                Files.deleteIfExists(path);
            }
        } catch (IOException ignored) {
            // It lies in a folder for temporary files.
        }
    }
}
