package javax.annotation;

// The mark of generated classes, in place of the jar of Jakarta Annotations 1.3.
public @interface Generated {
    String[] value();

    String date() default "";

    String comments() default "";
}
