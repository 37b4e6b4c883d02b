import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.time.Duration;
import java.util.Arrays;
import java.util.concurrent.atomic.LongAdder;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.MapFunction;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.file.src.FileSource;
import org.apache.flink.connector.file.src.reader.TextLineInputFormat;
import org.apache.flink.core.fs.Path;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.streaming.api.functions.sink.RichSinkFunction;
import org.apache.flink.util.Collector;

/**
 * The job of the plain loop of `scripts/bench/sliding` for Flink, written by hand: the p95 of each key over 60 s, each second
 * of event time, until all windows are empty. {@code Sliding FILE} reads CSV rows and prints a line of key=value pairs.
 */
public class Sliding {
  static final int WINDOW_SECONDS = 60;
  /** A power of two above the window and what is collected beyond it. */
  static final int SECONDS_KEPT = 128;

  /** Of all values with their keys and seconds, in any order. Sink and main method share one JVM. */
  static final LongAdder COUNT = new LongAdder(), CHECKSUM = new LongAdder();

  public static class Sample {
    public String key;
    public long atMs;
    public int responseTimeUs;
  }

  public static class Value {
    public long keyHash, second, us;
  }

  /** Takes a row apart: time in ms, three names that are the key, response time in µs. */
  static class Parse implements MapFunction<String, Sample> {
    @Override
    public Sample map(String row) {
      int first = row.indexOf(','), last = row.lastIndexOf(',');
      Sample sample = new Sample();
      sample.atMs = Long.parseLong(row, 0, first, 10);
      sample.key = row.substring(first + 1, last);
      sample.responseTimeUs = Integer.parseInt(row, last + 1, row.length(), 10);
      return sample;
    }
  }

  /** Buckets in a growing array. */
  static class Buckets {
    char[] items = new char[4];
    int count;

    void insert(int at, char bucket) {
      if (count == items.length) items = Arrays.copyOf(items, 2 * count);
      System.arraycopy(items, at, items, at + 1, count - at);
      items[at] = bucket;
      count++;
    }

    void remove(int at) {
      count--;
      System.arraycopy(items, at + 1, items, at, count - at);
    }

    /** The index of a bucket that is there, or where it belongs. */
    int find(char bucket) {
      int at = Arrays.binarySearch(items, 0, count, bucket);
      return at < 0 ? -at - 1 : at;
    }
  }

  /** What is kept of a key: the samples of each second, and those in the window, sorted. */
  static class Window {
    long keyHash;
    final Buckets[] seconds = new Buckets[SECONDS_KEPT];
    final Buckets sorted = new Buckets();

    Buckets second(long second) {
      int slot = (int) (second & (SECONDS_KEPT - 1));
      if (seconds[slot] == null) seconds[slot] = new Buckets();
      return seconds[slot];
    }
  }

  /** A timer at the end of each second that has samples, or follows one in which the window was not empty. */
  static class Slide extends KeyedProcessFunction<String, Sample, Value> {
    private transient ValueState<Window> state;
    private transient Value value;

    @Override
    public void open(OpenContext context) {
      state = getRuntimeContext().getState(new ValueStateDescriptor<>("window", Window.class));
      value = new Value();
    }

    @Override
    public void processElement(Sample sample, Context context, Collector<Value> out) throws Exception {
      Window window = state.value();
      if (window == null) {
        window = new Window();
        window.keyHash = hash(sample.key);
        state.update(window);
      }
      long second = Math.floorDiv(sample.atMs, 1000L);
      Buckets collected = window.second(second);
      if (collected.count == 0) context.timerService().registerEventTimeTimer(second * 1000 + 999);
      collected.insert(collected.count, bucket(sample.responseTimeUs));
    }

    @Override
    public void onTimer(long at, OnTimerContext context, Collector<Value> out) throws Exception {
      Window window = state.value();
      long second = Math.floorDiv(at, 1000L);
      Buckets sorted = window.sorted, in = window.second(second), gone = window.second(second - WINDOW_SECONDS);
      for (int i = 0; i < in.count; i++) sorted.insert(sorted.find(in.items[i]), in.items[i]);
      for (int i = 0; i < gone.count; i++) sorted.remove(sorted.find(gone.items[i]));
      gone.count = 0;
      if (sorted.count == 0) return;
      value.keyHash = window.keyHash;
      value.second = second;
      value.us = edge(sorted.items[(95 * sorted.count + 99) / 100 - 1]);
      out.collect(value);
      context.timerService().registerEventTimeTimer(at + 1000);
    }
  }

  static class Sum extends RichSinkFunction<Value> {
    @Override
    public void invoke(Value value, Context context) {
      long mixed = (value.keyHash ^ value.second * 0x9E3779B97F4A7C15L) + value.us * 0xC2B2AE3D27D4EB4FL;
      mixed = (mixed ^ mixed >>> 32) * 0xD6E8FEB86659FD93L;
      COUNT.increment();
      CHECKSUM.add(mixed ^ mixed >>> 32);
    }
  }

  /** FNV-1a. */
  static long hash(String key) {
    long hash = 0xCBF29CE484222325L;
    for (int i = 0; i < key.length(); i++) hash = (hash ^ key.charAt(i)) * 0x100000001B3L;
    return hash;
  }

  /** The first three significant digits of a number, and 900 for each digit beyond them. */
  static char bucket(int number) {
    int beyond = 0;
    for (; number >= 1000; number /= 10) beyond += 900;
    return (char) (number + beyond);
  }

  /** The least number of a bucket. */
  static long edge(char bucket) {
    long mantissa = bucket, scale = 1;
    for (; mantissa >= 1000; mantissa -= 900) scale *= 10;
    return mantissa * scale;
  }

  public static void main(String[] arguments) throws Exception {
    Configuration settings = new Configuration();
    settings.setString("taskmanager.memory.managed.size", "64m");
    StreamExecutionEnvironment environment = StreamExecutionEnvironment.getExecutionEnvironment(settings);
    environment.setParallelism(1);
    environment.getConfig().enableObjectReuse();
    FileSource<String> file =
        FileSource.forRecordStreamFormat(new TextLineInputFormat(), new Path(arguments[0])).build();
    DataStream<String> rows = environment.fromSource(file, WatermarkStrategy.noWatermarks(), "rows");
    rows.map(new Parse())
        .returns(Types.POJO(Sample.class))
        .assignTimestampsAndWatermarks(
            WatermarkStrategy.<Sample>forBoundedOutOfOrderness(Duration.ofSeconds(1))
                .withTimestampAssigner((sample, at) -> sample.atMs))
        .keyBy(sample -> sample.key)
        .process(new Slide())
        .returns(Types.POJO(Value.class))
        .addSink(new Sum());
    environment.execute();
    OperatingSystemMXBean system = (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    System.out.printf(
        "cpu_ns=%d values=%d:%016x%n", system.getProcessCpuTime(), COUNT.sum(), CHECKSUM.sum());
    System.exit(0);
  }
}
